import pytest
import torch

from quantlab.sparse.compact import compact, compact_sides, is_positive


def test_numbers_are_within_half_a_step() -> None:
    x = torch.randn(4, 1000, generator=torch.Generator().manual_seed(0))
    found = compact(x, (1,))
    assert found.codes.dtype == torch.uint8
    assert ((found.restored() - x).abs() <= found.step * 0.501).all()


def test_the_ends_are_exact_and_constants_too() -> None:
    x = torch.tensor([[0.0, 1.0, 3.0], [2.0, 2.0, 2.0]])
    restored = compact(x, (1,)).restored()
    assert restored[0, 0] == 0.0
    assert restored[0, 2] == pytest.approx(3.0)
    assert restored[1].tolist() == [2.0, 2.0, 2.0]


@pytest.mark.parametrize("seed", range(8))
def test_sides_are_exact(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(12, 5000, generator=generator)
    gamma = torch.randn(12, generator=generator)
    beta = torch.randn(12, generator=generator) * (1 + seed)
    gamma[0], beta[1], gamma[2], beta[2] = 0.0, 0.0, 0.0, 0.0
    normal[3] = 1.5
    normal[4, :100] = -beta[4] / gamma[4]  # on the threshold
    found, above = compact_sides(normal, gamma, beta)
    positive = torch.addcmul(beta[:, None], normal, gamma[:, None]) > 0
    positive[4, :100] = False
    assert torch.equal(is_positive(found.codes, above, gamma, beta), positive)
    assert ((found.restored() - normal).abs() <= found.step * 0.51).all()
