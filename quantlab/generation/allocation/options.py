"""How a layer can be stored: by factors of some bits, or dense; at which error and bytes.

The error of generated weights is measured at a few numbers of bases, with a short projection, and
interpolated between them: its logarithm is nearly straight over that of the bases.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from quantlab.algorithms.dorefa import odd_codes
from quantlab.generation.projection.als import als
from quantlab.generation.projection.error import relative_error
from quantlab.generation.projection.levels import levels_of
from quantlab.generation.projection.qals import qals
from quantlab.generation.projection.rounding import nearest, scale_grid
from quantlab.generation.projection.svd import svd
from quantlab.generation.shapes import factor_shapes
from quantlab.generation.spec import MLGSpec

BASES_IN = (1, 2, 3)
# Of basis, coeff_in and coeff_out: each is the best for some layer of a trained network.
BITS = ((4, 3, 4), (4, 3, 3), (4, 2, 3), (4, 2, 2), (3, 2, 2))
DENSE_BITS = (2, 3, 4, 6, 8)
_SCALE_BYTES = 4
_KNOT_RATIO = 1.8
_ALS_ROUNDS = 10
_QALS_ROUNDS = 1


@dataclass(frozen=True, kw_only=True)
class Dense:
    """A weight that is not generated, each element of so many bits."""

    num_bits: int


@dataclass(frozen=True, kw_only=True)
class Option:
    """A way to store a layer. error: the relative error of its weight, as predicted."""

    form: MLGSpec | Dense
    nbytes: int
    error: float


def generated_bytes(shape: Sequence[int], spec: MLGSpec) -> int:
    """Return the bytes of the codes of a weight `[Co, Ci, ...]` and of their scales."""
    sizes = factor_shapes(shape, spec).sizes
    codes = sum(-(-count * spec.bits[name] // 8) for name, count in sizes.items())
    return codes + _SCALE_BYTES * len(sizes)


def dense_bytes(shape: Sequence[int], num_bits: int) -> int:
    """Return the bytes of a dense weight and its scale."""
    return -(-math.prod(shape) * num_bits // 8) + _SCALE_BYTES


def options_of(weight: Tensor, *, least: float, most: float, like: MLGSpec) -> list[Option]:
    """Return the options of a weight: generated ones of `least` to `most` bytes, the smallest of
    them in any case, and dense ones.

    weight: `[Co, Ci, ...]`, finite. like: a spec of which bases and bits are replaced.
    """
    options = dense_options(weight)
    for base_in in bases_in_of(weight.shape):
        options += generated_options(weight, base_in, least=least, most=most, like=like)
    return options


def bases_in_of(shape: Sequence[int]) -> list[int]:
    """Return the numbers of kernels in a basis that a weight `[Co, Ci, ...]` can have."""
    limit = min(shape[1], math.prod(shape[2:]))
    return [count for count in BASES_IN if count < limit or count == BASES_IN[0]]


@torch.no_grad()
def dense_options(weight: Tensor) -> list[Option]:
    """Return the options of a weight that is not generated."""
    view = _view(weight)
    return [_dense(view, num_bits) for num_bits in DENSE_BITS]


@torch.no_grad()
def generated_options(
    weight: Tensor, base_in: int, *, least: float, most: float, like: MLGSpec
) -> list[Option]:
    """Return the options of a number of kernels in a basis, for all numbers of bases and bits; see
    `options_of`."""
    return _generated(_view(weight), base_in, least, most, like)


def _view(weight: Tensor) -> Tensor:
    """Return a weight `[Co, Ci, S]` whose largest element is 1."""
    view = weight.detach().float().reshape(*weight.shape[:2], -1)
    return view / view.abs().max().clamp(min=torch.finfo(torch.float32).tiny)


def _dense(view: Tensor, num_bits: int) -> Option:
    levels = odd_codes(num_bits)
    done = nearest(view, levels, scale_grid(view, levels, 30))
    size = float(view.square().sum())
    error = math.sqrt(float(done.loss) / size) if size else 0.0
    nbytes = dense_bytes(view.shape, num_bits)
    return Option(form=Dense(num_bits=num_bits), nbytes=nbytes, error=error)


def _generated(
    view: Tensor, base_in: int, least: float, most: float, like: MLGSpec
) -> list[Option]:
    outputs, inputs, area = view.shape
    limit = min(outputs, inputs * area) if area > 1 else int(0.9 * min(outputs, inputs))
    specs = {
        bits: [spec_like(like, base_in, bases, bits) for bases in range(1, limit)] for bits in BITS
    }
    fitting = {
        bits: [s for s in own if least <= generated_bytes(view.shape, s) <= most] or own[:1]
        for bits, own in specs.items()
    }
    counts = [spec.base_out for own in fitting.values() for spec in own]
    if not counts:
        return []
    errors: dict[tuple[int, ...], list[float]] = {bits: [] for bits in BITS}
    knots = _knots(min(counts), max(counts))
    is_zero = not bool(view.any())
    for bases in knots:
        start = None
        for bits in BITS:
            if is_zero:  # of which qals finds no scale
                errors[bits].append(0.0)
                continue
            spec = spec_like(like, base_in, bases, bits)
            shapes = factor_shapes(view.shape, spec)
            start = start or als(view, svd(view, shapes), rounds=_ALS_ROUNDS, tolerance=1e-3)
            state = qals(view, start, levels_of(spec, None), rounds=_QALS_ROUNDS)
            errors[bits].append(relative_error(view, state.factors))
    return [
        Option(
            form=spec,
            nbytes=generated_bytes(view.shape, spec),
            error=_between(spec.base_out, knots, errors[bits]),
        )
        for bits, own in fitting.items()
        for spec in own
    ]


def spec_like(like: MLGSpec, base_in: int, bases: int, bits: tuple[int, int, int]) -> MLGSpec:
    """Return a spec with other bases and bits: of basis, coeff_in and coeff_out."""
    basis_bit, coeff_in_bit, coeff_out_bit = bits
    return like.model_copy(
        update={
            "base_in": base_in,
            "base_out": bases,
            "basis_bit": basis_bit,
            "coeff_in_bit": coeff_in_bit,
            "coeff_out_bit": coeff_out_bit,
        }
    )


def _knots(least: int, most: int) -> list[int]:
    """Return rising numbers from one to the other, nearly in equal ratios."""
    steps = max(1, math.ceil(math.log(most / least) / math.log(_KNOT_RATIO)))
    return sorted({round(least * (most / least) ** (step / steps)) for step in range(steps + 1)})


def _between(bases: int, knots: Sequence[int], errors: Sequence[float]) -> float:
    """Return the error at a number of bases from those at the knots about it."""
    for (low, at_low), (high, at_high) in pairwise(zip(knots, errors, strict=True)):
        if low <= bases <= high:
            part = math.log(bases / low) / math.log(high / low)
            logs = math.log(max(at_low, 1e-9)), math.log(max(at_high, 1e-9))
            return math.exp(logs[0] * (1 - part) + logs[1] * part)
    return errors[0]
