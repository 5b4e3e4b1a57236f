"""Layers that compute in bfloat16 against their dense twins."""

import pytest
import torch
from torch import nn

from quantlab.graphs.replace import DenseLayer
from quantlab.sparse.bfloat16 import to_bfloat16
from tests.quantlab.sparse.cases import gradients, within

BFLOAT16 = 2e-2  # of the largest number: 8 bits, twice rounded

LAYERS = {
    "linear": (lambda: nn.Linear(8, 6), (5, 8)),
    "no bias": (lambda: nn.Linear(8, 6, bias=False), (5, 8)),
    "conv": (
        lambda: nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0), (1, 2), 2, padding_mode="reflect"),
        (2, 4, 7, 7),
    ),
    "same": (lambda: nn.Conv2d(4, 6, 3, padding="same", bias=False), (2, 4, 7, 7)),
}


def made(name: str) -> tuple[DenseLayer, torch.Tensor]:
    torch.manual_seed(0)
    make, shape = LAYERS[name]
    layer = make()
    assert isinstance(layer, DenseLayer)
    return layer, torch.randn(shape)


@pytest.mark.parametrize("name", LAYERS)
def test_nearly_the_same_numbers(name: str) -> None:
    layer, x = made(name)
    y, found = gradients(to_bfloat16(layer), x)
    wanted, wanted_gradients = gradients(layer, x)
    assert y.dtype == torch.float32
    assert not torch.equal(y, wanted)
    within(y, wanted, BFLOAT16)
    for one, other in zip(found, wanted_gradients, strict=True):
        within(one, other, BFLOAT16)


@pytest.mark.parametrize("name", LAYERS)
def test_the_same_parameters_and_settings(name: str) -> None:
    layer, _ = made(name)
    twin = to_bfloat16(layer.eval())
    assert twin.extra_repr() == layer.extra_repr()
    assert not twin.training
    for (one_name, one), (other_name, other) in zip(
        twin.named_parameters(), layer.named_parameters(), strict=True
    ):
        assert one_name == other_name
        assert one is other
