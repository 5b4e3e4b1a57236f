import pytest
import torch
from torch import nn

from quantlab.algorithms.layers import attach
from quantlab.compression.channels.weights import (
    effective_weight,
    is_quantized,
    is_uniform,
    obstacle,
    tensors_of,
)
from quantlab.numerics.granularity import PerGroup
from quantlab.quantizer import QuantSpec
from tests.quantlab.graphs.networks import Grid


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Linear(6, 4), (1, 4, 6, 1)),
        (nn.Conv2d(6, 4, 3), (1, 4, 6, 9)),
        (nn.Conv1d(6, 4, 3, groups=2), (2, 2, 3, 3)),
        (nn.ConvTranspose2d(6, 4, 2), (1, 4, 6, 4)),
        (nn.ConvTranspose1d(6, 4, 2, groups=2), (2, 2, 3, 2)),
    ],
    ids=lambda given: str(given),
)
def test_weights_have_groups_outputs_inputs_and_taps(
    layer: nn.Module, shape: tuple[int, ...]
) -> None:
    weight = effective_weight(layer)
    assert weight.shape == shape
    groups, _, inputs, _ = shape
    x, places = torch.randn(groups * inputs).double(), [1] * (layer.weight.ndim - 2)
    y = layer.double()(x.reshape(1, -1, *places).expand(1, -1, *(9 for _ in places)))
    sums = (weight.sum(3) * x.reshape(groups, 1, inputs)).sum(2).flatten() + layer.bias
    assert torch.allclose(y[(0, slice(None), *(4 for _ in places))], sums)


def test_a_weight_that_its_quantizer_makes_zero_is_zero() -> None:
    layer = nn.Linear(2, 1)
    attach(layer, "weight", Grid(scale=1.0))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.4, 0.6]]))
    assert is_quantized(layer)
    assert effective_weight(layer).flatten().tolist() == [0.0, 1.0]
    layer.weight_quantizer.set_enabled(False)
    assert not is_quantized(layer)
    assert (effective_weight(layer) != 0).all()


@pytest.mark.parametrize(
    ("layer", "uniform"),
    [
        (nn.Linear(2, 2), True),
        (nn.Conv2d(2, 2, 3), True),
        (nn.Conv2d(2, 2, 3, padding=1), False),
        (nn.Conv2d(2, 2, 3, padding="same"), False),
        (nn.Conv2d(2, 2, 1, padding="same"), True),
        (nn.Conv2d(2, 2, 3, padding="valid"), True),
        (nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"), True),
        (nn.ConvTranspose2d(2, 2, 2, 2), False),
    ],
    ids=lambda given: str(given),
)
def test_a_border_of_zeros_differs_from_constants(layer: nn.Module, uniform: bool) -> None:
    assert is_uniform(layer) is uniform


def test_scales_of_groups_of_inputs_are_an_obstacle() -> None:
    class Groups(Grid):
        def __init__(self) -> None:
            super().__init__()
            self._take(QuantSpec(num_bits=4, signed=True, granularity=PerGroup(2)))

    layer = nn.Linear(4, 2)
    assert obstacle(layer) is None
    attach(layer, "weight", Groups())
    assert obstacle(layer) == "weights quantized per_group:2"


def test_unknown_tensors_of_a_quantizer_are_an_obstacle() -> None:
    layer, grid = nn.Linear(4, 2), Grid()
    attach(layer, "weight", grid)
    assert obstacle(layer) is None
    assert len(tensors_of(layer)) == 2
    grid.register_buffer("table", torch.ones(7))
    assert obstacle(layer) == "a Grid with a tensor of [7]"
