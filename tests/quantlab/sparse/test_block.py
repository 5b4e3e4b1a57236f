"""Blocks against convolution, batch norm, ReLU and pooling of torch in float64."""

import copy
from itertools import pairwise
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from quantlab.errors import UsageError
from quantlab.sparse import SparseBlock, SparseConv2d
from tests.quantlab.sparse.cases import gradients, within

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
    with pytest.raises(UsageError, match=r"torch.float64 given; torch.float32"):
        SparseBlock(conv, nn.BatchNorm2d(3))(torch.zeros(2, 2, 5, 5, dtype=torch.float64))
