"""How layers are generated within a number of bytes; 3 s."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from quantlab.errors import UsageError
from quantlab.generation import MLGSpec, convert
from quantlab.generation.allocation import Allocation, Dense, Option, allocate, sensitivity_of
from quantlab.generation.allocation.fitted import coded_bytes, fit
from quantlab.generation.allocation.options import dense_bytes, generated_bytes, options_of
from quantlab.generation.projection import project
from tests.models.stored import read


def trained(*names: str) -> dict[str, Tensor]:
    """Parts of convolutions, `[8, 6, 3, 3]`."""
    weights = read("resnet20_float")["network"]
    return {name: weights[f"layers.{name}.weight"][:8, :6] for name in names}


LAYERS = trained("layer1.0.conv1", "layer1.1.conv1")
EVEN = dict.fromkeys(LAYERS, 1.0)


def test_an_allocation_is_within_its_bytes_and_better_than_even_bases() -> None:
    spec = MLGSpec(base_out=4)
    budget = sum(generated_bytes(weight.shape, spec) for weight in LAYERS.values())
    done = allocate(LAYERS, EVEN, budget)
    assert done.nbytes <= budget
    assert list(done.options) == list(LAYERS)
    squared, even = 0.0, 0.0
    for name, option in done.options.items():
        weight, size = LAYERS[name], float(LAYERS[name].square().sum())
        assert isinstance(option.form, MLGSpec)
        assert option.nbytes == generated_bytes(weight.shape, option.form)
        error = project(weight, option.form).error
        assert error == pytest.approx(option.error, rel=0.1), "as predicted"
        squared += error**2 * size
        even += project(weight, spec).error ** 2 * size
    assert squared < 0.9 * even
    assert squared == pytest.approx(2 * done.loss, rel=0.2)


@pytest.mark.long
def test_sensitive_layers_get_more_bytes() -> None:
    first, second = LAYERS
    skewed = allocate(LAYERS, {first: 1.0, second: 100.0}, 160)
    assert skewed.options[second].nbytes > 1.2 * skewed.options[first].nbytes


def test_a_network_is_converted_by_the_rules() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 2), nn.Conv2d(4, 2, 1))
    options = {
        "0": Option(form=Dense(num_bits=4), nbytes=85, error=0.1),
        "2": Option(form=MLGSpec(base_in=2, base_out=3, basis_bit=4), nbytes=50, error=0.5),
    }
    done = Allocation(options=options, max_bytes=135, loss=0.0)
    report = convert(network, {"layers": "2", "rules": done.rules, "projection_alg": "qals"})
    (row,) = report.rows
    assert row.layer == "2"
    assert row.spec == options["2"].form
    assert done.dense_bits == {"0": 4}
    assert done.nbytes == 135


def test_many_bytes_are_dense() -> None:
    weights = trained("layer1.0.conv1")
    (option,) = allocate(weights, EVEN, 440).options.values()
    assert option.form == Dense(num_bits=8)
    assert option.nbytes == dense_bytes((8, 6, 3, 3), 8) == 436
    assert option.error < 0.03


def test_the_same_arguments_give_the_same_allocation() -> None:
    told: list[tuple[int, int | None]] = []
    torch.manual_seed(0)
    weights = {"layer1.0.conv1": torch.randn(5, 3, 2, 2)}
    first = allocate(weights, EVEN, 30, progress=lambda _, done, total: told.append((done, total)))
    assert first == allocate(weights, EVEN, 30)
    assert told == [(0, 1), (1, 1)]


@pytest.mark.parametrize("shape", [(12, 8, 1, 1), (8, 1, 3, 3), (6, 12), (6, 4, 4), (1, 3, 3, 3)])
def test_all_kinds_of_layers_have_options(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    like = MLGSpec(quantizer="lsq", linear_block=4)
    options = options_of(torch.randn(shape), least=0, most=1e9, like=like)
    for option in options:
        assert 0 < option.error <= 1.2
        if isinstance(option.form, MLGSpec):
            assert option.nbytes == generated_bytes(shape, option.form)
            assert (option.form.quantizer, option.form.linear_block) == ("lsq", 4)


def test_weights_of_zeros_have_options() -> None:
    options = options_of(torch.zeros(8, 4, 3, 3), least=0, most=100, like=MLGSpec())
    assert all(option.error < 2 for option in options)


def test_weights_of_zeros_are_allocated() -> None:
    weights = {"a": torch.zeros(8, 6, 3, 3), "b": torch.zeros(12, 8, 1, 1)}
    assert allocate(weights, {"a": 1.0, "b": 1.0}, 300).loss == 0


@pytest.mark.parametrize(
    ("weights", "sensitivity", "budget", "line"),
    [
        (LAYERS, EVEN, 3, "max_bytes: 3 given, at least [0-9]+ possible"),
        (LAYERS, {"layer1.0.conv1": 1.0}, 500, "sensitivity: none given of layer 'layer1.1.conv1'"),
        (LAYERS, dict.fromkeys(LAYERS, -1.0), 500, "sensitivity of layer1.0.conv1: -1.0 given"),
        ({}, {}, 500, "weights: 0 layers given"),
        ({"a": torch.full((4, 4), torch.nan)}, {"a": 1.0}, 500, "weight of a: not all elements"),
        ({"a": torch.zeros(4)}, {"a": 1.0}, 500, r"weight of a: \[4\] of torch.float32 given"),
        ({"a": [1.0]}, {"a": 1.0}, 500, "weight of a: a list given, a tensor allowed"),
        (LAYERS, dict.fromkeys(LAYERS, "1"), 500, "sensitivity of layer1.0.conv1: a str given"),
        (LAYERS, EVEN, float("nan"), "max_bytes: nan given, a finite number of bytes allowed"),
        (LAYERS, EVEN, float("inf"), "max_bytes: inf given, a finite number of bytes allowed"),
        (LAYERS, EVEN, "500", "max_bytes: a str given, a number of bytes allowed"),
        (LAYERS, EVEN, None, "max_bytes: a NoneType given, a number of bytes allowed"),
    ],
)
def test_wrong_arguments_are_named(weights: Any, sensitivity: Any, budget: Any, line: str) -> None:
    with pytest.raises(UsageError, match=line):
        allocate(weights, sensitivity, budget)


def test_sensitivities_are_mean_squared_gradients() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.Dropout(), nn.Linear(4, 2))
    network[0].weight.requires_grad_(False)
    batches = [(torch.randn(5, 3), torch.randn(5, 2)) for _ in range(2)]
    mean_squared = nn.MSELoss()
    done = sensitivity_of(network, ["0", "2"], batches, mean_squared)
    assert network.training
    assert network[2].weight.grad is None
    hidden, last = network[0], network[2]
    expected = 0.0
    for inputs, targets in batches:
        values = hidden(inputs)
        slope = 2 * (last(values) - targets) / targets.numel()
        expected += float((slope.T @ values).detach().square().mean()) / 2
    assert done["2"] == pytest.approx(expected, rel=1e-5)
    assert done["0"] > 0


@pytest.mark.long
def test_coded_factors_fit_and_are_better_than_packed_ones() -> None:
    weight = trained("layer1.0.conv1")["layer1.0.conv1"]
    done = fit(weight, 60)
    assert done is not None
    assert done.nbytes == coded_bytes(done.projection.codes, done.spec) <= 60
    assert done.projection.error < project(weight, MLGSpec(base_out=3)).error
    assert generated_bytes(weight.shape, MLGSpec(base_out=3)) > 60
    assert fit(weight, 10) is None


def test_coded_codes_take_at_most_a_little_more_than_packed_ones() -> None:
    spec = MLGSpec(base_out=4)
    weight = trained("layer1.0.conv1")["layer1.0.conv1"]
    codes = project(weight, spec, method="svd").codes
    assert coded_bytes(codes, spec) <= generated_bytes(weight.shape, spec) + 2 * 3
    peaky = torch.zeros(64, 8, 3, 3)
    peaky[0, 0] = 1.0
    coded = coded_bytes(
        project(peaky, MLGSpec(base_out=16), method="svd").codes, MLGSpec(base_out=16)
    )
    assert coded < 0.5 * generated_bytes(peaky.shape, MLGSpec(base_out=16))


@pytest.mark.long
def test_several_processes_allocate_the_same() -> None:
    assert allocate(LAYERS, EVEN, 300, processes=2) == allocate(LAYERS, EVEN, 300)


def test_allocation_needs_a_process() -> None:
    with pytest.raises(UsageError, match="processes: 0 given, 1 or more allowed"):
        allocate(LAYERS, EVEN, 300, processes=0)
