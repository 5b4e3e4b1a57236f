"""Generated weights against the sums that define them."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch import Tensor

from quantlab.generation import MLGSpec, generate, orthonormality
from quantlab.generation.shapes import FactorShapes, factor_shapes

SIDES = st.integers(1, 6)


def factors(shapes: FactorShapes) -> tuple[Tensor | None, Tensor | None, Tensor]:
    """Random factors V, U, B in float64."""

    def drawn(shape: tuple[int, ...] | None) -> Tensor | None:
        return None if shape is None else torch.randn(shape, dtype=torch.float64)

    basis = drawn(shapes.basis)
    assert basis is not None
    return drawn(shapes.coeff_out), drawn(shapes.coeff_in), basis


def by_loops(coeff_out: Tensor | None, coeff_in: Tensor | None, basis: Tensor) -> Tensor:
    """The weight by the sums of the docstring."""
    bases = len(basis)
    v = torch.eye(bases, dtype=basis.dtype) if coeff_out is None else coeff_out
    if coeff_in is None:
        return torch.einsum("cr,r...->c...", v, basis)
    whole = torch.zeros(len(v), coeff_in.shape[1], *basis.shape[2:], dtype=basis.dtype)
    for c in range(len(v)):
        for r in range(bases):
            for i in range(coeff_in.shape[1]):
                for k in range(basis.shape[1]):
                    whole[c, i] += v[c, r] * coeff_in[r, i, k] * basis[r, k]
    return whole


@given(SIDES, SIDES, st.integers(1, 3), st.integers(1, 3), st.integers(0, 3), st.integers(0, 6))
def test_the_weight_is_the_sum(
    outputs: int, inputs: int, height: int, width: int, base_in: int, base_out: int
) -> None:
    shape = (outputs, inputs, height, width)
    shapes = factor_shapes(shape, MLGSpec(base_in=base_in, base_out=base_out))
    made = factors(shapes)
    weight = generate(*made)
    assert weight.shape == shape
    torch.testing.assert_close(weight, by_loops(*made), rtol=1e-12, atol=1e-12)


def test_gradients() -> None:
    shapes = factor_shapes((5, 4, 3, 3), MLGSpec(base_in=2, base_out=3))
    made = [factor.requires_grad_() for factor in factors(shapes) if factor is not None]
    assert torch.autograd.gradcheck(generate, made)
    assert torch.autograd.gradcheck(orthonormality, made)


def test_the_gauge_does_not_matter() -> None:
    """V / t and t U_r G with the inverse of G before B_r are the same weight."""
    coeff_out, coeff_in, basis = factors(factor_shapes((6, 5, 3, 3), MLGSpec(base_out=4)))
    assert coeff_out is not None
    assert coeff_in is not None
    gauge = torch.randn(4, 2, 2, dtype=torch.float64)
    scale = torch.rand(4, dtype=torch.float64) + 0.5
    turned = (torch.linalg.inv(gauge) @ basis.flatten(2)).reshape(basis.shape)
    other = generate(coeff_out / scale, coeff_in @ gauge * scale[:, None, None], turned)
    torch.testing.assert_close(other, generate(coeff_out, coeff_in, basis))


@pytest.mark.parametrize(
    ("shape", "basis", "coeff_in", "coeff_out"),
    [
        ((64, 64, 3, 3), (44, 2, 3, 3), (44, 64, 2), (64, 44)),
        ((64, 3, 3, 3), (64, 2, 3, 3), (64, 3, 2), None),  # the stem of ResNet-18
        ((128, 64, 1, 1), (44, 64, 1, 1), None, (128, 44)),
        ((32, 24, 1, 1), (21, 24, 1, 1), None, (32, 21)),  # int(0.9 * 24)
        ((96, 1, 3, 3), (96, 1, 3, 3), None, None),  # more bases than the 9 of a kernel
        ((10, 512), (9, 512), None, (10, 9)),
    ],
)
def test_shapes_are_the_published_ones(
    shape: tuple[int, ...],
    basis: tuple[int, ...],
    coeff_in: tuple[int, int, int] | None,
    coeff_out: tuple[int, int] | None,
) -> None:
    expected = FactorShapes(basis=basis, coeff_in=coeff_in, coeff_out=coeff_out)
    assert factor_shapes(shape, MLGSpec(base_in=2, base_out=44)) == expected


def test_depthwise_kernels_share_bases() -> None:
    shapes = factor_shapes((96, 1, 3, 3), MLGSpec(base_in=2, base_out=4))
    assert shapes == FactorShapes(basis=(4, 1, 3, 3), coeff_in=None, coeff_out=(96, 4))


def orthonormal(*shape: int) -> Tensor:
    """Matrices with orthonormal columns."""
    return torch.linalg.qr(torch.randn(*shape, dtype=torch.float64)).Q


def test_orthonormal_factors_cost_nothing() -> None:
    basis = orthonormal(4, 9, 2).mT.reshape(4, 2, 3, 3)
    coeff_in, coeff_out = 3 * orthonormal(4, 5, 2), 0.5 * orthonormal(6, 4)
    assert float(orthonormality(coeff_out, coeff_in, basis)) == pytest.approx(0, abs=1e-24)
    assert float(orthonormality(None, coeff_in, basis)) == pytest.approx(0, abs=1e-24)
    assert float(orthonormality(coeff_out, coeff_in, 2 * basis)) > 1
    whole = orthonormal(45, 4).mT.reshape(4, 5, 3, 3)
    assert float(orthonormality(coeff_out, None, whole)) == pytest.approx(0, abs=1e-24)
    with_one = orthonormal(4, 9, 1).mT.reshape(4, 1, 3, 3)
    assert float(orthonormality(coeff_out, coeff_in[..., :1], with_one)) == pytest.approx(0)


def test_the_term_does_not_make_coefficients_drift() -> None:
    coeff_out, coeff_in, basis = factors(factor_shapes((6, 5, 3, 3), MLGSpec(base_out=4)))
    assert coeff_in is not None
    coeff_in.requires_grad_()
    orthonormality(coeff_out, coeff_in, basis).backward()
    assert coeff_in.grad is not None
    radial = (coeff_in.grad * coeff_in.detach()).sum(1)
    assert float(radial.abs().max()) < 1e-12
    assert float(coeff_in.grad.abs().max()) > 1e-3
