"""Layers on tensors whose batch is innermost: the same bits, and outputs that lie as inputs do."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from quantlab.sparse import (
    HalfSparseConv2d,
    HalfSparseLinear,
    QuantizedSparseConv2d,
    QuantizedSparseLinear,
    SparseConv2d,
    SparseLinear,
)
from quantlab.sparse.batch_innermost import empty, flat, is_batch_innermost, memory
from quantlab.sparse.convolution_layer import Conv2dLayer
from tests.quantlab.sparse.cases import CONVOLUTIONS, Convolution, turned

CONVOLVING = [SparseConv2d, HalfSparseConv2d, QuantizedSparseConv2d]
LINEAR = [SparseLinear, HalfSparseLinear, QuantizedSparseLinear]


def step(layer: nn.Module, x: Tensor, y_gradient: Tensor) -> list[Tensor]:
    torch.manual_seed(3)  # of stochastic rounding
    x = x.detach().requires_grad_()
    y = layer(x)
    return [y.detach(), *torch.autograd.grad(y, [x, *layer.parameters()], y_gradient)]


def assert_same_bits(layer: nn.Module, x: Tensor) -> None:
    with torch.no_grad():
        y = layer(x)
    gradient = torch.randn(y.shape, generator=torch.Generator().manual_seed(0), dtype=y.dtype)
    wanted = step(layer, x, gradient)
    summands = gradient.abs().sum([dim for dim in range(gradient.dim()) if dim != 1])
    for given_x, given_gradient in (
        (turned(x), turned(gradient)),
        (turned(x), gradient),
        (x, turned(gradient)),
    ):
        found = step(layer, given_x, given_gradient)
        assert is_batch_innermost(found[0]) == is_batch_innermost(given_x) or is_flat(found[0])
        assert is_batch_innermost(found[1]) == is_batch_innermost(given_x) or is_flat(x)
        for one, other in zip(found[:3], wanted[:3], strict=True):
            assert torch.equal(one, other)
        for one, other in zip(found[3:], wanted[3:], strict=True):  # a bias is torch's own sum
            assert ((one - other).abs() <= 4 * torch.finfo(one.dtype).eps * summands).all()


def is_flat(x: Tensor) -> bool:
    """Return whether there is one order in memory only."""
    return x.shape[0] == 1 or x[0].numel() <= 1 or x.numel() == 0


@settings(max_examples=30, deadline=None)
@given(CONVOLUTIONS, st.sampled_from(CONVOLVING))
def test_convolutions(case: Convolution, kind: type[Conv2dLayer]) -> None:
    layer = kind.from_dense(case.dense(torch.float32))
    assert_same_bits(layer, case.images(torch.float32))


def test_convolutions_of_doubles() -> None:
    layer = SparseConv2d.from_dense(nn.Conv2d(3, 4, 3, 2, padding=1).double())
    assert_same_bits(layer, torch.randn(5, 3, 7, 6, dtype=torch.float64))


@pytest.mark.parametrize("batch", [1, 5, 17, 64])  # fewer samples are gathered, not laid out
@pytest.mark.parametrize("kind", LINEAR)
def test_linear_layers(batch: int, kind: type[SparseLinear]) -> None:
    dense = nn.Linear(19, 23)
    layer = kind.from_dense(dense, torch.rand_like(dense.weight) < 0.3)
    assert_same_bits(layer, torch.randn(batch, 19))


def test_memory_is_in_the_order_in_which_numbers_lie() -> None:
    x = torch.arange(12.0).reshape(3, 2, 2)
    y = turned(x)
    assert is_batch_innermost(y)
    assert not is_batch_innermost(x)
    assert memory(x).tolist() == list(range(12))
    assert memory(y).tolist() == x.permute(1, 2, 0).reshape(-1).tolist()
    assert memory(y).data_ptr() == y.data_ptr()
    assert flat(x[:, :, ::2]).tolist() == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    assert not is_batch_innermost(x[:, :, ::2])
    assert empty((1, 4), torch.float32, batch_innermost=True).is_contiguous()


def test_few_samples() -> None:
    layer, x = SparseLinear.from_dense(nn.Linear(19, 23)), torch.randn(3, 19)
    wanted = step(layer, x, torch.ones(3, 23))
    found = step(layer, turned(x), turned(torch.ones(3, 23)))
    assert all(torch.equal(one, two) for one, two in zip(found, wanted, strict=True))
