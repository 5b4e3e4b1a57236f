"""Blocks against convolution, batch norm, ReLU and pooling of torch in float64."""

import copy
from itertools import pairwise
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from quantlab.errors import UsageError
from quantlab.sparse import HalfSparseConv2d, QuantizedSparseConv2d, SparseBlock, SparseConv2d
from quantlab.sparse.batch_innermost import is_batch_innermost
from quantlab.sparse.convolution_layer import Conv2dLayer
from tests.quantlab.sparse.cases import gradients, turned, within

EXACT = 2e-5
ROUNDED = 0.02  # of the largest number, where eight bits stand for what was saved


def layers(
    *, has_relu: bool = True, has_pool: bool = False, stride: int = 1, bias: bool = True
) -> nn.Sequential:
    torch.manual_seed(0)
    conv = nn.Conv2d(6, 8, 3, stride, padding=1, bias=bias)
    norm = nn.BatchNorm2d(8)
    with torch.no_grad():
        conv.weight.mul_(torch.rand_like(conv.weight) < 0.4)
        norm.weight.copy_(torch.randn(8))
        norm.bias.copy_(torch.randn(8))
    ends = [nn.ReLU()] * has_relu + [nn.MaxPool2d(2)] * has_pool
    return nn.Sequential(conv, norm, *ends)


def block_of(dense: nn.Sequential, *, has_relu: bool = True, has_pool: bool = False) -> SparseBlock:
    conv, norm = copy.deepcopy(dense[0]), copy.deepcopy(dense[1])
    return SparseBlock.from_dense(conv, norm, has_relu=has_relu, has_pool=has_pool)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("has_relu", "has_pool"), [(True, False), (True, True), (False, False)])
def test_training(has_relu: bool, has_pool: bool, stride: int, bias: bool) -> None:
    dense = layers(has_relu=has_relu, has_pool=has_pool, stride=stride, bias=bias)
    block = block_of(dense, has_relu=has_relu, has_pool=has_pool)
    torch.manual_seed(7)  # no number is so near the ReLU's threshold that float32 has another sign
    x = torch.randn(16, 6, 9, 11)
    y, found = gradients(block, x)
    double = copy.deepcopy(dense).double()
    wanted, grads = gradients(double, x.double())
    within(y, wanted, EXACT)
    for name, buffer in double[1].named_buffers():
        within(block.batch_norm.get_buffer(name), buffer, EXACT)
    grads[1] = block.conv.pattern.gather(grads[1])
    for one, other in zip(found, grads, strict=True):
        within(one, other, ROUNDED)
        error = (one.double() - other).norm() / other.norm().clamp(min=1e-6)
        assert error < ROUNDED or other.norm() < 1e-6  # a bias before a batch norm has none


@pytest.mark.parametrize("kind", [HalfSparseConv2d, QuantizedSparseConv2d])
@pytest.mark.parametrize("has_pool", [True, False])
def test_other_arithmetics(kind: type[Conv2dLayer], has_pool: bool) -> None:
    dense = layers(has_pool=has_pool)
    norm = copy.deepcopy(dense[1])
    block = SparseBlock(kind.from_dense(cast(nn.Conv2d, dense[0])), norm, has_pool=has_pool)
    x = torch.randn(32, 6, 10, 8)
    y, found = gradients(block, x)
    wanted, grads = gradients(copy.deepcopy(dense).double(), x.double())
    grads[1] = block.conv.pattern.gather(grads[1])
    forward, backward = (0.002, 0.03) if kind is HalfSparseConv2d else (0.03, 0.15)
    assert (y - wanted).norm() <= forward * wanted.norm()
    for one, other in zip(found, grads, strict=True):
        assert (one - other).norm() <= backward * other.norm() + 1e-4


@pytest.mark.parametrize("has_pool", [True, False])
def test_the_batch_is_innermost_and_may_be_before(has_pool: bool) -> None:
    block = block_of(layers(), has_pool=has_pool)
    x, weights = torch.randn(7, 6, 10, 8), torch.randn(7, 8, 10, 8)
    weights = weights[:, :, :5, :4] if has_pool else weights
    results = []
    for given, gradient in ((x, weights), (turned(x), weights), (turned(x), turned(weights))):
        given = given.detach().requires_grad_()
        y = block(given)
        assert is_batch_innermost(y)
        found = torch.autograd.grad(y, [given, *block.parameters()], gradient)
        assert is_batch_innermost(found[0]) == is_batch_innermost(given)
        results.append([y, *found])
    for other in results[1:]:
        assert all(torch.equal(one, two) for one, two in zip(results[0], other, strict=True))


def test_numbers_of_an_output_may_be_changed_in_place() -> None:
    block = block_of(layers(has_relu=False), has_relu=False)
    y = block(torch.randn(4, 6, 5, 5)).relu_()
    y.sum().backward()
    assert block.conv.weight.grad is not None


def test_evaluation_is_that_of_the_layers() -> None:
    dense = layers(has_pool=True).eval()
    block = block_of(dense, has_pool=True).eval()
    x = torch.randn(3, 6, 8, 8)
    within(block(x), dense(x), EXACT)
    y, found = gradients(block, x)
    wanted, grads = gradients(copy.deepcopy(dense).double(), x.double())
    within(y, wanted, EXACT)
    within(found[0], grads[0], EXACT)


def saved_bytes(network: nn.Module, x: Tensor) -> int:
    sizes: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        kept.append(tensor)
        return tensor

    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        network(x)
    parameters = {p.untyped_storage().data_ptr() for p in network.parameters()}
    return sum(size for place, size in sizes.items() if place not in parameters)


def test_a_stack_keeps_less_than_a_third_of_what_dense_layers_keep() -> None:
    torch.manual_seed(0)
    channels = [16] * 7
    dense = nn.Sequential(
        *(
            nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU())
            for a, b in pairwise(channels)
        )
    )
    blocks = nn.Sequential(*(block_of(cast(nn.Sequential, one)) for one in dense))
    x = torch.randn(8, 16, 16, 16, requires_grad=True)
    assert saved_bytes(blocks, x) <= 0.30 * saved_bytes(dense, x)


def test_what_does_not_fit() -> None:
    conv = SparseConv2d.from_dense(nn.Conv2d(2, 3, 3))
    with pytest.raises(UsageError, match="batch_norm: of 4 features given; 3 allowed"):
        SparseBlock(conv, nn.BatchNorm2d(4))
    reflecting = nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect")
    with pytest.raises(UsageError, match="conv: padding_mode 'reflect' or uneven padding given"):
        SparseBlock.from_dense(reflecting, nn.BatchNorm2d(3))
    double = SparseConv2d.from_dense(nn.Conv2d(2, 3, 3).double())
    with pytest.raises(UsageError, match=r"conv: of torch.float64 given; float32 allowed"):
        SparseBlock(double, nn.BatchNorm2d(3))
    with pytest.raises(UsageError, match=r"torch.float64 given; torch.float32"):
        SparseBlock(conv, nn.BatchNorm2d(3))(torch.zeros(2, 2, 5, 5, dtype=torch.float64))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((4, 3, 5, 5), r"input: \[4, 3, 5, 5\] given; \[B, 2, H, W\] allowed"),
        ((2, 5, 5), r"input: \[2, 5, 5\] given; \[B, 2, H, W\] allowed"),
        ((4, 2, 3, 9), r"input: \[4, 2, 3, 9\] given, of which pooling would leave nothing"),
        ((1, 2, 3, 3), "input: one number of each channel given"),
    ],
)
def test_images_that_do_not_fit(shape: tuple[int, ...], message: str) -> None:
    block = SparseBlock.from_dense(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), has_pool=True)
    with pytest.raises(UsageError, match=message):
        block(torch.zeros(shape))


def test_no_images_change_nothing() -> None:
    block = SparseBlock.from_dense(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), has_pool=True)
    y = block(torch.zeros(0, 2, 8, 8))
    y.sum().backward()
    assert y.shape == (0, 3, 3, 3)
    assert all(p.grad is not None and not p.grad.any() for p in block.parameters())
    assert torch.equal(block.batch_norm.get_buffer("running_mean"), torch.zeros(3))
    assert torch.equal(block.batch_norm.get_buffer("running_var"), torch.ones(3))
