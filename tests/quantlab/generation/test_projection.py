"""Projections against bounds, planted factors and one another; 2 s."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from quantlab.algorithms.dorefa import odd_codes
from quantlab.errors import UsageError
from quantlab.generation import MLGSpec, generate
from quantlab.generation.factors import Factors
from quantlab.generation.projection import Method, project
from quantlab.generation.projection.als import als
from quantlab.generation.projection.equations import (
    equations_of,
    present,
    rows_of,
    with_rows,
)
from quantlab.generation.projection.error import relative_error
from quantlab.generation.projection.gauge import gauged
from quantlab.generation.projection.rounding import rounded, scale_grid, with_feedback
from quantlab.generation.projection.svd import svd
from quantlab.generation.projection.train import train
from quantlab.generation.shapes import factor_shapes
from quantlab.generation.spec import FactorName
from tests.models.stored import read

SHAPES = {
    "three factors": (12, 8, 3, 3),
    "without V": (6, 8, 3, 3),
    "rank product": (16, 12, 1, 1),
    "depthwise": (20, 1, 3, 3),
    "linear": (12, 20),
    "blocks of a linear": (12, 5, 4),
    "dense": (5, 2, 1, 1),
    "one output": (1, 3, 3, 3),
}
SPEC = MLGSpec(base_in=2, base_out=7, basis_bit=3, coeff_in_bit=4, coeff_out_bit=3)
CLOSED: tuple[Method, ...] = ("svd", "als", "qals")


def trained_weight(name: str = "layers.layer1.1.conv1.weight") -> Tensor:
    weight: Tensor = read("resnet20_float")["network"][name]
    return weight


def random_factors(shape: tuple[int, ...], spec: MLGSpec, *, seed: int = 0) -> Factors:
    """Factors of a weight `[Co, Ci, S]`, normal numbers in float64."""
    generator = torch.Generator().manual_seed(seed)
    shapes = factor_shapes(shape, spec)

    def drawn(of: tuple[int, ...] | None) -> Tensor | None:
        return None if of is None else torch.randn(of, generator=generator, dtype=torch.float64)

    basis = drawn(shapes.basis)
    assert basis is not None
    return Factors(coeff_out=drawn(shapes.coeff_out), coeff_in=drawn(shapes.coeff_in), basis=basis)


def error_of(weight: Tensor, factors: Factors) -> float:
    bases, terms = factors.basis.shape[:2]
    parts = (factors.coeff_out, factors.coeff_in, factors.basis.reshape(bases, terms, -1))
    coeff_out, coeff_in, basis = (None if x is None else x.double() for x in parts)
    assert basis is not None
    made = generate(coeff_out, coeff_in, basis)
    flat = weight.double().reshape(made.shape)
    return float((made - flat).norm() / flat.norm())


@pytest.mark.parametrize("method", CLOSED)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_projection_is_what_it_says(shape: tuple[int, ...], method: Method) -> None:
    torch.manual_seed(1)
    weight = torch.randn(shape)
    done = project(weight, SPEC, method=method)
    shapes = factor_shapes(shape, SPEC)
    for name, size in shapes.sizes.items():
        codes, factor = getattr(done.codes, name), getattr(done.factors, name)
        latent, scale = getattr(done.latent, name), done.scales[name]
        assert codes.numel() == size
        assert codes.shape == factor.shape == latent.shape == getattr(shapes, name)
        assert codes.dtype == torch.int32
        assert set(codes.unique().tolist()) <= set(odd_codes(SPEC.bits[name]))
        torch.testing.assert_close(codes * scale, factor, rtol=1e-6, atol=0)
        assert float((latent / scale - codes).abs().max()) < 1, "in the cell of its code"
    assert set(done.scales) == set(shapes.sizes)
    assert done.error == pytest.approx(error_of(weight, done.factors), rel=1e-4)
    assert done.error < 1.1


@pytest.mark.long
def test_training_is_a_projection_too() -> None:
    weight = trained_weight()[:8]
    done = project(weight, SPEC, method="train")
    assert done.error == pytest.approx(error_of(weight, done.factors), rel=1e-4)
    torch.testing.assert_close(
        done.codes.basis * done.scales["basis"], done.factors.basis, rtol=1e-6, atol=0
    )
    assert project(weight, SPEC).error < done.error


@pytest.mark.parametrize("bits", [1, 3])
def test_training_keeps_its_best_step(bits: int) -> None:
    view = trained_weight()[:6, :6].flatten(2)
    spec = MLGSpec(base_out=4, basis_bit=bits, coeff_in_bit=bits, coeff_out_bit=bits)
    shapes = factor_shapes(view.shape, spec)
    levels = {name: odd_codes(bits) for name in spec.bits}
    errors = []
    for steps in (0, 20, 60):
        done = train(view, shapes, levels, seed=0, steps=steps)
        errors.append(relative_error(view, done.best.factors))
        assert errors[-1] <= relative_error(view, done.last.factors)
        again = train(view, shapes, levels, seed=0, steps=steps)
        assert torch.equal(done.last.latent.basis, again.last.latent.basis)
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0]


@given(st.sampled_from(list(SHAPES.values())), st.integers(0, 99))
@settings(max_examples=20)
def test_each_round_lowers_the_error(shape: tuple[int, ...], seed: int) -> None:
    torch.manual_seed(seed)
    weight = torch.randn(shape, dtype=torch.float64).reshape(*shape[:2], -1)
    factors = svd(weight, factor_shapes(weight.shape, SPEC))
    before = relative_error(weight, factors)
    for _ in range(6):
        factors = als(weight, factors, rounds=1)
        after = relative_error(weight, factors)
        assert after <= before * (1 + 1e-12)
        before = after


@pytest.mark.parametrize("shape", [(12, 8, 9), (10, 6, 4), (16, 12, 1)])
def test_planted_factors_are_recovered(shape: tuple[int, ...]) -> None:
    spec = MLGSpec(base_in=2, base_out=4)
    weight = random_factors(shape, spec).generate()
    start = svd(weight, factor_shapes(shape, spec))
    done = als(weight, start, rounds=2000, tolerance=0)
    assert relative_error(weight, done) < 1e-4


@pytest.mark.parametrize("method", CLOSED)
def test_no_error_is_below_that_of_the_rank(method: Method) -> None:
    """C. Eckart, G. Young: no matrix of that rank is nearer."""
    weight = trained_weight()
    values = torch.linalg.svdvals(weight.flatten(1).double()).square()
    for bases in (3, 8):
        bound = float((values[bases:].sum() / values.sum()).sqrt())
        assert project(weight, MLGSpec(base_out=bases), method=method).error >= bound


def test_on_the_grid_is_better_than_rounding_to_nearest() -> None:
    for name in ("layers.layer1.1.conv1.weight", "layers.layer2.1.conv2.weight"):
        weight = trained_weight(name)
        errors = {m: project(weight, MLGSpec(base_out=8), method=m).error for m in CLOSED}
        assert errors["qals"] < 0.97 * min(errors["svd"], errors["als"])


@pytest.mark.long
def test_on_the_grid_is_better_than_the_published_training() -> None:
    weight = trained_weight()
    spec = MLGSpec(base_out=8)
    view = weight.flatten(2)
    shapes = factor_shapes(view.shape, spec)
    levels = {name: odd_codes(bits) for name, bits in spec.bits.items()}
    trained = train(view, shapes, levels, seed=0)
    last, best = (relative_error(view, one.factors) for one in (trained.last, trained.best))
    assert best <= last
    assert project(weight, spec).error < 0.97 * last


@pytest.mark.parametrize("sized", [None, "basis", "coeff_in", "coeff_out"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_gauge_leaves_the_weight(shape: tuple[int, ...], sized: None) -> None:
    factors = random_factors((*shape[:2], 9), SPEC)
    same = gauged(factors, sized)
    torch.testing.assert_close(same.generate(), factors.generate())
    if sized is None and len(present(factors)) == 3:
        sizes = [rows_of(name, same).square().mean() for name in present(same)]
        torch.testing.assert_close(sizes[0], sizes[1])
        torch.testing.assert_close(sizes[0], sizes[2])


def test_the_gauge_of_a_start_does_not_matter() -> None:
    weight = trained_weight().flatten(2).double()
    start = svd(weight, factor_shapes(weight.shape, SPEC))
    assert start.coeff_out is not None
    assert start.coeff_in is not None
    scale = torch.rand(start.basis.shape[0], dtype=torch.float64) + 0.5
    other = Factors(
        coeff_out=start.coeff_out * scale,
        coeff_in=start.coeff_in / scale[:, None, None],
        basis=start.basis,
    )
    errors = [relative_error(weight, als(weight, x, rounds=5)) for x in (start, other)]
    assert errors[0] == pytest.approx(errors[1], rel=1e-4)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_equations_are_those_of_the_squared_error(shape: tuple[int, ...]) -> None:
    """Their loss is |W - generated|^2 - |W|^2, for any rows."""
    torch.manual_seed(2)
    view = (*shape[:2], 9)
    factors, weight = random_factors(view, SPEC), torch.randn(view, dtype=torch.float64)
    for name in present(factors):
        rows = torch.randn_like(rows_of(name, factors))
        changed = with_rows(name, factors, rows)
        squared = (weight - changed.generate()).square().sum() - weight.square().sum()
        torch.testing.assert_close(equations_of(name, weight, factors).loss(rows), squared)
        torch.testing.assert_close(rows_of(name, changed), rows)


def test_rounding_makes_up_for_its_errors() -> None:
    torch.manual_seed(0)
    weight, factors = torch.randn(12, 8, 9, dtype=torch.float64), random_factors((12, 8, 9), SPEC)
    levels = odd_codes(2)
    equations = equations_of("coeff_in", weight, factors)
    rows = equations.solve(rows_of("coeff_in", factors), 1e-9)
    scales = scale_grid(rows, levels)
    done = rounded(equations, rows, levels, scales, 1)
    size = scales.view(-1, 1, 1, 1)
    fed = with_feedback(equations.gram, rows, levels, size) * size
    plain = (rows / size / 2 - 0.5).round().mul(2).add(1).clamp(-3, 3) * size
    assert equations.loss(fed).min() < equations.loss(plain).min()
    assert done.loss <= equations.loss(fed).min()
    torch.testing.assert_close(equations.loss(done.codes * done.scale), done.loss)


@pytest.mark.parametrize("method", CLOSED)
def test_the_same_arguments_give_the_same_factors(method: Method) -> None:
    weight = trained_weight()[:4, :4]
    first, second = (project(weight, SPEC, method=method) for _ in range(2))
    assert torch.equal(first.codes.basis, second.codes.basis)
    assert torch.equal(first.latent.basis, second.latent.basis)


@pytest.mark.parametrize("bits", [1, 2, 8])
@pytest.mark.parametrize(
    "weight",
    [
        torch.zeros(8, 6, 3, 3),
        torch.ones(8, 6, 3, 3),
        torch.arange(8.0).view(8, 1, 1, 1) * torch.ones(1, 6, 3, 3),
        torch.linspace(-1, 1, 8 * 6 * 9).view(8, 6, 3, 3) * 1e-30,
        torch.linspace(-1, 1, 8 * 6 * 9).view(8, 6, 3, 3) * 1e20,
    ],
    ids=["zeros", "ones", "of rank 1", "tiny", "large"],
)
def test_degenerate_weights(weight: Tensor, bits: int) -> None:
    spec = MLGSpec(base_out=4, basis_bit=bits, coeff_in_bit=bits, coeff_out_bit=bits)
    done = project(weight, spec)
    assert done.error < 1
    assert bool(torch.isfinite(done.factors.generate()).all())
    assert float((done.factors.generate() - weight).abs().max()) <= weight.abs().max() + 1e-20


def test_levels_may_be_others() -> None:
    weight = trained_weight()
    levels: dict[FactorName, Sequence[int]] = {
        "basis": (-4, -2, -1, 0, 1, 2, 4),
        "coeff_out": range(-8, 8),
    }
    done = project(weight, MLGSpec(base_out=8), levels=levels)
    assert set(done.codes.basis.unique().tolist()) <= set(levels["basis"])
    assert done.codes.coeff_out is not None
    assert set(done.codes.coeff_out.unique().tolist()) <= set(levels["coeff_out"])
    assert done.error < 0.65


def test_levels_are_those_of_the_quantizer() -> None:
    weight = trained_weight()
    spec = MLGSpec(base_out=8, quantizer="lsq")
    codes = project(weight, spec).codes
    for name, factor in codes.by_name.items():
        assert factor is not None
        assert set(factor.unique().tolist()) <= set(spec.levels[name])


@pytest.mark.parametrize("method", CLOSED)
def test_factors_may_be_floats(method: Method) -> None:
    weight = trained_weight()
    spec = MLGSpec(base_out=8, basis_bit=32, coeff_in_bit=3)
    done = project(weight, spec, method=method)
    assert set(done.scales) == {"coeff_in", "coeff_out"}
    assert torch.equal(done.latent.basis, done.factors.basis)
    assert not done.codes.basis.any()
    assert done.error == pytest.approx(error_of(weight, done.factors), rel=1e-4)
    floats = MLGSpec(base_out=8, basis_bit=32, coeff_in_bit=32, coeff_out_bit=32)
    as_floats = project(weight, floats, method=method)
    assert as_floats.scales == {}
    assert as_floats.error < done.error


@pytest.mark.parametrize(
    ("weight", "options", "line"),
    [
        (torch.full((4, 4, 3, 3), torch.nan), {}, "weight: 144 of 144 elements are not finite"),
        (torch.ones(4), {}, r"weight: \[4\] of torch.float32 given"),
        (torch.ones(4, 4, dtype=torch.int64), {}, "weight: .* of torch.int64 given"),
        (torch.ones(4, 4), {"method": "qasl"}, "method: 'qasl' given, .* did you mean 'qals'"),
        (torch.ones(4, 4), {"method": "als", "rounds": 3}, "rounds: 3 given"),
        (torch.ones(4, 4), {"levels": {"basis": (1,)}}, r"levels.basis: \(1,\) given"),
        (torch.ones(4, 4), {"levels": {"basis": (1, -1)}}, r"levels.basis: \(1, -1\) given"),
        (torch.ones(4, 4), {"levels": {"bases": (-1, 1)}}, "levels: 'bases' .* mean 'basis'"),
    ],
)
def test_wrong_arguments_are_named(weight: Tensor, options: dict[str, Any], line: str) -> None:
    with pytest.raises(UsageError, match=line):
        project(weight, SPEC, **options)
