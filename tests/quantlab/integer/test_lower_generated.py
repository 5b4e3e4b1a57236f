"""Layers of generated weights as exact integers."""

from typing import Any

import numpy as np
import pytest
import torch

from quantlab.errors import UsageError
from quantlab.generation.layers import generated_layers
from quantlab.integer.file import from_bytes, to_bytes
from quantlab.integer.interpreter import run
from quantlab.integer.lower import lower, obstacles
from quantlab.integer.operations import Convolution, Linear
from quantlab.integer.tensor_type import S16
from tests.quantlab.integer.generated_networks import CASES, SAMPLES, generated
from tests.quantlab.integer.networks import SPEC, pixels, reals

BITS = {"basis_bit": 3, "coeff_in_bit": 4, "coeff_out_bit": 5}


@pytest.mark.parametrize("name", CASES)
def test_scores_are_those_of_the_network(name: str) -> None:
    network = generated(name)
    program = lower(network, SPEC, SAMPLES)
    raw = pixels(16, 5)
    (output,) = program.outputs
    scores = program.reals[output](run(program, {"input": raw.numpy()})[output])
    expected = network(reals(raw)).detach().numpy()
    # A code of the layers behind may be another one where a number lies almost on a tie.
    error = np.abs(scores - expected).max(1) / np.abs(expected).max()
    assert np.median(error) < 1e-3
    assert error.max() < 0.02


@pytest.mark.parametrize("name", CASES)
def test_nothing_wider_than_16_bits_lies_between_factors(name: str) -> None:
    network = generated(name)
    program = lower(network, SPEC, SAMPLES)
    for path, layer in generated_layers(network):
        stages = [o for o in program.operations if isinstance(o, Convolution | Linear)]
        stages = [o for o in stages if o.layer == path]
        assert len(stages) == len(list(layer.parameters())) - (layer.bias is not None)
        for stage in stages[1:]:
            assert program.types[stage.inputs[0]].kind == S16
        assert all(program.bounds[stage.output].num_bits <= 32 for stage in stages)


@pytest.mark.parametrize("quantizer", ["lsq", "midtread", "dorefa_sym"])
def test_weights_are_the_codes_of_the_factors(quantizer: str) -> None:
    network = generated("three factors", quantizer=quantizer, **BITS)
    program = lower(network, SPEC, SAMPLES)
    layer: Any = network[3]
    weights = {o.output: o.weight for o in program.operations if isinstance(o, Convolution)}
    codes = {name: getattr(layer, f"{name}_quantizer").codes(getattr(layer, name)) for name in (
        "basis", "coeff_in", "coeff_out")}  # fmt: skip
    inputs, outputs = codes["coeff_in"], codes["coeff_out"]
    for (basis, channel, term), code in np.ndenumerate(inputs.numpy()):
        output = basis * inputs.shape[2] + term
        assert weights["_3_coeff_in"][output, channel, 0, 0] == code
    assert np.array_equal(weights["_3_basis"], codes["basis"].numpy())
    assert np.array_equal(weights["_3_coeff_out"][:, :, 0, 0], outputs.numpy())


def test_the_same_samples_give_the_same_file() -> None:
    first, second = (to_bytes(lower(generated("three factors"), SPEC, SAMPLES)) for _ in range(2))
    assert first == second
    assert to_bytes(from_bytes(first, "it")) == first


def test_ranges_come_from_samples() -> None:
    small = lower(generated("three factors"), SPEC, SAMPLES / 64)
    large = lower(generated("three factors"), SPEC, SAMPLES)
    scales = [program.reals["_3_basis_codes"].scale for program in (small, large)]
    assert scales[0] < scales[1]


def test_without_samples_it_is_refused() -> None:
    with pytest.raises(UsageError, match="layer '3': its weight is generated, and what passes "):
        lower(generated("three factors"), SPEC)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (
            {"coeff_in_bit": 32},
            "its coeff_in has no quantizer, 8 bits or fewer allowed; coeff_in_bit: 8 instead of 32 "
            "gives it one",
        ),
        (
            {"basis_bit": 8},
            "its basis has codes from -255 to 255, -128 to 127 allowed; quantizer: midtread has 8 "
            "bits within them, or basis_bit: 7",
        ),
    ],
)
def test_factors_without_codes_of_8_bits(settings: dict[str, Any], line: str) -> None:
    network = generated("three factors", **settings)
    assert obstacles(network) == [f"layer '3': {line}"]
    with pytest.raises(UsageError) as caught:
        lower(network, SPEC, SAMPLES)
    assert str(caught.value) == f"layer '3': {line}"


@pytest.mark.parametrize("bits", [7, 8])
def test_the_most_bits(bits: int) -> None:
    quantizer = "dorefa_sym" if bits == 7 else "midtread"
    given = dict.fromkeys(("basis_bit", "coeff_in_bit", "coeff_out_bit"), bits)
    network = generated("three factors", quantizer=quantizer, **given)
    assert obstacles(network) == []
    assert lower(network, SPEC, SAMPLES).operations


def test_factors_whose_quantizers_have_not_started() -> None:
    network = generated("three factors")
    network[3].coeff_out_quantizer.set_enabled(False)
    with pytest.raises(UsageError, match="layer '3': its coeff_out has a quantizer that has not "):
        lower(network, SPEC, SAMPLES)


def test_numbers_that_are_not_finite() -> None:
    network = generated("three factors", quantizer="lsq")
    with torch.no_grad():
        network[3].basis[0, 0, 0, 0] = torch.nan
    with pytest.raises(UsageError, match=r"3\.basis: NaN given"):
        lower(network, SPEC, SAMPLES)


def test_narrow_memory_has_8_bits_between_factors() -> None:
    network = generated("three factors")
    program = lower(network, SPEC, SAMPLES, memory_bits=8, sum_bits=32)
    assert program.types["_3_coeff_in_codes"].kind.num_bits == 8
