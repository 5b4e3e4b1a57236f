import pytest
import torch

from quantlab.errors import UsageError
from quantlab.sparse.compact import compact


def test_numbers_are_within_half_a_step() -> None:
    x = torch.randn(5000, generator=torch.Generator().manual_seed(0))
    found = compact(x)
    assert found.codes.dtype == torch.uint8
    assert ((found.restored() - x).abs() <= found.step * 0.501).all()


def test_the_least_is_exact_and_constants_too() -> None:
    restored = compact(torch.tensor([0.0, 1.0, 3.0])).restored()
    assert restored[0] == 0.0
    assert restored[2] == pytest.approx(3.0)
    assert compact(torch.full((4,), 2.0)).restored().tolist() == [2.0] * 4
    assert len(compact(torch.empty(0)).restored()) == 0


@pytest.mark.parametrize("number", [torch.inf, -torch.inf, torch.nan])
def test_only_finite_numbers_have_codes(number: float) -> None:
    with pytest.raises(UsageError, match="input: has NaN or infinity; finite numbers"):
        compact(torch.tensor([1.0, number]))
