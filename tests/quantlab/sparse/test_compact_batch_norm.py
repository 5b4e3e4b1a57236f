import copy

import pytest
import torch
from torch import Tensor, nn

from quantlab.errors import UsageError
from quantlab.memory.step import saved_bytes
from quantlab.sparse.batch_innermost import is_batch_innermost
from quantlab.sparse.compact_batch_norm import CompactBatchNorm2d
from tests.quantlab.sparse.cases import gradients, turned, within


def norms(*, has_relu: bool, affine: bool = True) -> tuple[CompactBatchNorm2d, nn.Module]:
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(5, affine=affine)
    if affine:
        with torch.no_grad():
            norm.weight.copy_(torch.randn(5))
            norm.bias.copy_(torch.randn(5))
    dense = nn.Sequential(copy.deepcopy(norm), nn.ReLU() if has_relu else nn.Identity())
    return CompactBatchNorm2d(norm, has_relu=has_relu), dense.double()


@pytest.mark.parametrize("has_relu", [True, False])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("is_turned", [True, False])
def test_training(has_relu: bool, affine: bool, is_turned: bool) -> None:
    compact, dense = norms(has_relu=has_relu, affine=affine)
    x = torch.randn(9, 5, 6, 7)
    y, found = gradients(compact, turned(x) if is_turned else x)
    wanted, grads = gradients(dense, x.double())
    assert is_batch_innermost(y)
    assert is_batch_innermost(found[0]) == is_turned
    within(y, wanted, 2e-5)
    for one, other in zip(found, grads, strict=True):
        assert (one - other).norm() <= 0.02 * other.norm()
    for name, buffer in dense[0].named_buffers():
        within(compact.batch_norm.get_buffer(name), buffer, 2e-5)


def test_evaluation_and_doubles_are_the_batch_norm() -> None:
    compact, dense = norms(has_relu=True)
    x = torch.randn(4, 5, 3, 3, dtype=torch.float64)
    assert torch.equal(compact.double()(x), dense(x))
    assert torch.equal(compact.eval()(x), dense.eval()(x))


def test_a_byte_of_each_number_is_kept() -> None:
    compact, _ = norms(has_relu=True)
    x = torch.randn(40, 5, 10, 10, requires_grad=True)

    def forward() -> Tensor:
        return compact(x)

    assert saved_bytes(forward) <= x.numel() + 1000


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((4, 10, 3, 3), r"input: \[4, 10, 3, 3\] given; \[B, 5, H, W\] allowed"),
        ((5, 3, 3), r"input: \[5, 3, 3\] given"),
        ((1, 5, 1, 1), "input: one number of each channel given"),
    ],
)
def test_images_that_do_not_fit(shape: tuple[int, ...], message: str) -> None:
    compact, _ = norms(has_relu=True)
    with pytest.raises(UsageError, match=message):
        compact(torch.zeros(shape))


def test_a_norm_without_parameters_whatever_the_default_type() -> None:
    compact, dense = norms(has_relu=True, affine=False)
    x = torch.randn(4, 5, 3, 3)
    torch.set_default_dtype(torch.float64)
    try:
        y = compact(x)
    finally:
        torch.set_default_dtype(torch.float32)
    within(y, dense(x.double()), 2e-5)


def test_no_images_change_nothing() -> None:
    compact, _ = norms(has_relu=True)
    compact(torch.zeros(0, 5, 3, 3)).sum().backward()
    assert all(p.grad is not None and not p.grad.any() for p in compact.parameters())
    assert torch.equal(compact.batch_norm.get_buffer("running_mean"), torch.zeros(5))
    assert torch.equal(compact.batch_norm.get_buffer("running_var"), torch.ones(5))
