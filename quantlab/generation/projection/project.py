"""Project a weight: check it, view it as [Co, Ci, S], find its factors, give them their shapes."""

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from quantlab.errors import UsageError, did_you_mean
from quantlab.generation.factors import Factors
from quantlab.generation.projection.als import als
from quantlab.generation.projection.equations import rows_of
from quantlab.generation.projection.error import relative_error
from quantlab.generation.projection.gauge import gauged
from quantlab.generation.projection.levels import levels_of
from quantlab.generation.projection.on_grid import Levels, OnGrid, evened, unrounded
from quantlab.generation.projection.projection import Projection
from quantlab.generation.projection.qals import qals
from quantlab.generation.projection.rounding import nearest, scale_grid
from quantlab.generation.projection.svd import svd
from quantlab.generation.projection.train import train
from quantlab.generation.shapes import FactorShapes, factor_shapes
from quantlab.generation.spec import FactorName, MLGSpec

Method = Literal["train", "svd", "als", "qals"]
_ROUNDS = 6
_LEAST = 1e-8  # of a scale
_USUAL = (1e-4, 1e4)  # of the largest element: a copy in other units is not needed
METHODS: tuple[Method, ...] = get_args(Method)


@torch.no_grad()
def project(
    weight: Tensor,
    spec: MLGSpec,
    *,
    method: Method = "qals",
    levels: Mapping[FactorName, Sequence[int]] | None = None,
    seed: int = 0,
    rounds: int | None = None,
) -> Projection:
    """Return the factors of a spec that generate a weight with a small error.

    weight: `[Co, Ci, ...]`, of any float type, on any device; factors come back there, float64 if
        it is, else float32.
    method: see the package.
    levels: of each factor its codes in rising order; those of the spec where none are given.
    seed: of the random start of `train`, the only method that draws. The same arguments give the
        same factors.
    rounds: of `qals`, 6 by default: 24 take four times as long and leave 1 to 3 % less error.

    Raises UsageError for a weight that is not finite or has less than two axes, an unknown method
    or levels that do not rise.
    """
    _check(weight, method, rounds)
    grids = levels_of(spec, levels)
    shapes = factor_shapes(weight.shape, spec)
    view = weight.detach().to(torch.float64 if weight.dtype == torch.float64 else torch.float32)
    view = view.reshape(*weight.shape[:2], -1)
    state = _projected(view, shapes, grids, method, seed, rounds)
    return _shaped(state, shapes, grids, relative_error(view, state.factors), view.dtype)


def _projected(
    view: Tensor,
    shapes: FactorShapes,
    levels: Levels,
    method: Method,
    seed: int,
    rounds: int | None,
) -> OnGrid:
    size = torch.linalg.vector_norm(view, torch.inf)
    if size == 0:
        return _of_zeros(view, shapes, levels)
    if method == "train":
        return evened(train(view, shapes, levels, seed=seed).best)
    if not _USUAL[0] <= float(size) <= _USUAL[1]:
        view = view / size  # squares of tiny elements would vanish
    else:
        size = torch.ones_like(size)
    if method == "qals":
        state = _qals(view, shapes, levels, _ROUNDS if rounds is None else rounds)
    else:
        start = svd(view, shapes)
        state = to_nearest(als(view, start) if method == "als" else start, levels)
    part = size.double() ** (1 / len(state.scales))
    return evened(state.times(dict.fromkeys(state.scales, part)))


def _check(weight: Tensor, method: str, rounds: int | None) -> None:
    if method not in METHODS:
        hint = did_you_mean(method, METHODS)
        raise UsageError(f"method: {method!r} given, {', '.join(METHODS)} allowed{hint}")
    if rounds is not None and (method != "qals" or rounds < 0):
        raise UsageError(f"rounds: {rounds} given, 0 or more allowed, with method 'qals' alone")
    if weight.ndim < 2 or not weight.is_floating_point() or 0 in weight.shape:
        raise UsageError(
            f"weight: {list(weight.shape)} of {weight.dtype} given, floats of two axes or more and "
            "at least one element allowed"
        )
    num_wrong = int(torch.count_nonzero(~torch.isfinite(weight)))
    if num_wrong:
        raise UsageError(
            f"weight: {num_wrong} of {weight.numel()} elements are not finite, none may be"
        )


def _qals(view: Tensor, shapes: FactorShapes, levels: Levels, rounds: int) -> OnGrid:
    if shapes.is_dense:
        return to_nearest(als(view, svd(view, shapes)), levels)
    return qals(view, als(view, svd(view, shapes)), levels, rounds=rounds)


def to_nearest(factors: Factors, levels: Levels) -> OnGrid:
    """Return factors with each element on the nearest level; see `nearest` for the scales."""
    state = unrounded(gauged(factors, "coeff_out"))
    for name in state.scales.keys() & levels.keys():
        rows = rows_of(name, state.latent)
        done = nearest(rows, levels[name], scale_grid(rows, levels[name], 30))
        state = state.with_rounded(name, rows, done, levels[name])
    return state


def _of_zeros(view: Tensor, shapes: FactorShapes, levels: Levels) -> OnGrid:
    """Return factors of a weight of zeros. Where zero is no level they are as small as can be."""
    start = svd(view, shapes)
    state = unrounded(start)
    for name in state.scales.keys() & levels.keys():
        rows = torch.zeros_like(rows_of(name, start))
        done = nearest(rows, levels[name], rows.new_tensor([_LEAST]))
        state = state.with_rounded(name, rows, done, levels[name])
    return state


def _shaped(
    state: OnGrid, shapes: FactorShapes, levels: Levels, error: float, dtype: torch.dtype
) -> Projection:
    """Return the factors in their shapes, in a type."""

    def shaped(factors: Factors, to: torch.dtype) -> Factors:
        parts = {name: x if x is None else x.to(to) for name, x in factors.by_name.items()}
        parts["basis"] = factors.basis.to(to).reshape(shapes.basis)
        return Factors.of({name: x if x is None else x.contiguous() for name, x in parts.items()})

    codes = {
        name: x if x is None or name in levels else torch.zeros_like(x)
        for name, x in state.codes.by_name.items()
    }
    return Projection(
        latent=shaped(state.latent, dtype),
        factors=shaped(state.factors, dtype),
        codes=shaped(Factors.of(codes), torch.int32),
        scales={name: scale.to(dtype) for name, scale in state.scales.items() if name in levels},
        error=error,
    )
