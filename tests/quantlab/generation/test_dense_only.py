"""What needs layers with weights of their own says so in one line of those that generate it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from quantlab import compress, save_compressed_model
from quantlab.errors import UsageError
from quantlab.floats.lower import lower as lower_floats
from quantlab.generation import convert
from quantlab.integer.interpreter import run
from tests.quantlab.integer.networks import SPEC, pixels, plain, reals

LINE = (
    "layer '4': its weight is generated from factors, a weight of its own allowed here; integer "
    "programs (lower, main.py export) and packs (make_pack, main.py generate) take factors of 8 "
    "bits or fewer, or start a dense network from its weights (dense_weights, network.pretrained)"
)
SAMPLES = reals(pixels(4)).float()


def generated(bits: int) -> nn.Module:
    network = plain().eval()
    sizes = {"base_in": 1, "base_out": 2, "quantizer": "lsq", "layers": "4"}
    given = dict.fromkeys(("basis_bit", "coeff_in_bit", "coeff_out_bit"), bits)
    convert(network, {**sizes, **given})
    return network


def saved(network: nn.Module, folder: Path, dtype: str) -> Any:
    spec = None if dtype == "f32" else SPEC
    return save_compressed_model(
        network, "csr", input_data=SAMPLES, directory=folder / "c", dtype=dtype, spec=spec
    )


WAYS: dict[str, Callable[[int, Path], Any]] = {
    "floats": lambda bits, folder: lower_floats(generated(bits), SAMPLES),
    "C of f32": lambda bits, folder: saved(generated(bits), folder, "f32"),
    "compression": lambda bits, folder: compress(
        generated(bits), [(SAMPLES, torch.zeros(4).long())] * 3, budget="20 KB"
    ),
}


@pytest.mark.filterwarnings("ignore:spec. None given, and 4 samples")
@pytest.mark.parametrize("bits", [3, 32])
@pytest.mark.parametrize("way", WAYS)
def test_each_way_names_the_layer(way: str, bits: int, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        WAYS[way](bits, tmp_path)
    assert str(caught.value) == LINE
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore:samples. 4 given")
def test_c_of_integers_needs_factors_of_few_bits(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="layer '4': its basis has no quantizer, 8 bits or fewer "):
        saved(generated(32), tmp_path, "s8")
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore:samples. 4 given")
@pytest.mark.parametrize("dtype", ["s8", "s16"])
def test_c_of_integers_has_the_factors(dtype: str, tmp_path: Path) -> None:
    network = generated(3)
    model = saved(network, tmp_path, dtype)
    weights = [o for o in model.program.operations if o.layer == "4" and "weight" in o.constants()]
    assert [weight.output for weight in weights] == ["_4_coeff_in", "_4_basis", "_4_coeff_out"]
    (output,) = model.program.outputs
    codes = run(model.program, {"input": pixels(4).numpy()})[output]
    expected = network(SAMPLES).detach().numpy()
    error = np.abs(model.program.reals[output](codes) - expected).max() / np.abs(expected).max()
    assert error < {"s8": 0.1, "s16": 0.02}[dtype]  # of the other weights, of 8 bits
