import pytest
import torch
from torch import Tensor

from quantlab.errors import UsageError
from quantlab.sparse.batch_innermost import empty
from quantlab.sparse.compact import compact_planes, restore_planes
from quantlab.sparse.geometry import Geometry
from quantlab.sparse.layouts import lay_out
from quantlab.sparse.pattern import Pattern
from quantlab.sparse.plan import Plan, plan


def planes_of(x: Tensor, factor: float, dtype: torch.dtype) -> tuple[Tensor, Plan]:
    """Return planes of images for a 3 x 3 convolution with a padding of 1."""
    pattern = Pattern.of_mask(torch.ones(2, x.shape[1], 3, 3, dtype=torch.bool))
    made = plan(pattern, Geometry(kernel=(3, 3), padding=(1, 1)), tuple(x.shape))
    planes = torch.empty(made.x_numbers, dtype=dtype)
    lay_out(made.x_layout, x, planes, factor)
    return planes, made


def restored(x: Tensor, factor: float = 1.0, dtype: torch.dtype = torch.float32) -> Tensor:
    planes, made = planes_of(x, factor, dtype)
    codes, scales = compact_planes(x, planes, made, factor)
    assert codes.dtype == torch.uint8
    found = torch.full_like(planes, torch.nan)
    restore_planes(codes, scales, made, found, factor)
    assert ((found != 0) <= (planes != 0)).all() or x.min() > 0  # borders stay zeros
    return found - planes


@pytest.mark.parametrize("batch_innermost", [False, True])
@pytest.mark.parametrize("batch", [1, 3, 70])
def test_numbers_are_within_half_a_step(batch_innermost: bool, batch: int) -> None:
    x = empty((batch, 3, 5, 4), torch.float32, batch_innermost=batch_innermost)
    x.copy_(torch.randn(x.shape, generator=torch.Generator().manual_seed(0)))
    step = (x.max() - x.min()).item() / 255
    assert restored(x).abs().max() <= step * 0.501
    error = restored(x, 8.0, torch.float16).abs().max()
    assert error <= 8 * step * 0.501 + 32 * 2.0**-11  # the planes are rounded to float16 themselves


def test_the_least_is_exact_and_constants_too() -> None:
    assert restored(torch.tensor([0.0, 1.0, 0.0, 0.0]).view(1, 1, 2, 2)).abs().max() == 0
    assert restored(torch.full((1, 1, 2, 2), 2.0)).abs().max() == 0
    assert len(restored(torch.empty(0, 1, 2, 2))) == 0


@pytest.mark.parametrize("number", [torch.inf, -torch.inf, torch.nan])
def test_only_finite_numbers_have_codes(number: float) -> None:
    x = torch.tensor([1.0, number, 0.0, 0.0]).view(1, 1, 2, 2)
    planes, made = planes_of(x, 1.0, torch.float32)
    with pytest.raises(UsageError, match="input: has NaN or infinity; finite numbers"):
        compact_planes(x, planes, made)
