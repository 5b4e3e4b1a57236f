"""The best factors of one weight within a number of bytes, their codes entropy-coded.

For a weight that is generated as it is projected, without training: the codes that are counted are
those of the projection. All kinds of factors (kernels a basis, bits) are projected shortly with
about as many bases as fit; the likeliest ones at length, with as many as do.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from quantlab.generation.allocation.options import (
    BASES_IN,
    BITS,
    generated_bytes,
    spec_like,
)
from quantlab.generation.factors import Factors
from quantlab.generation.projection import Projection, project
from quantlab.generation.spec import MLGSpec
from quantlab.numerics.entropy import encode_codes

_SCALE_BYTES = 4
_KINDS = (*BITS, (4, 4, 4), (5, 4, 5))
_SLOPE = 0.5  # of the error's logarithm over that of the bytes, about
_TRIED = 3
_SHORT_ROUNDS = 2
_TRIES = 3
_ROUNDS = 16
_LAST_ROUNDS = 64


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """nbytes: of the coded codes and the scales."""

    spec: MLGSpec
    projection: Projection
    nbytes: int


def coded_bytes(codes: Factors, spec: MLGSpec) -> int:
    """Return the bytes of the codes of factors on grids of a spec, entropy-coded, and the scales.
    Odd codes are coded as (c - 1) / 2."""
    total = 0
    for name, factor in codes.by_name.items():
        if factor is not None:
            levels = spec.levels[name]
            numbers = factor.cpu().numpy()
            if levels[1] - levels[0] == 2:
                numbers = (numbers - 1) // 2
            total += len(encode_codes(numbers.astype(np.int8), spec.bits[name])) + _SCALE_BYTES
    return total


def fit(weight: Tensor, nbytes: int, *, like: MLGSpec | None = None) -> Fitted | None:
    """Return the factors of the least error whose coded bytes are at most `nbytes`, None if none
    are found. weight: `[Co, Ci, ...]`; like: a spec of which bases and bits are replaced."""
    like = like or MLGSpec()
    short = []
    for spec in _kinds(weight, nbytes, like):
        done = project(weight, spec, rounds=_SHORT_ROUNDS)
        size = coded_bytes(done.codes, spec)
        most = min(nbytes, size * (_limit(weight) - 1) / spec.base_out)
        short.append((done.error * (size / most) ** _SLOPE, size, spec))
    short.sort(key=lambda one: one[0])
    fitted = [_filled(weight, nbytes, spec, size) for _, size, spec in short[:_TRIED]]
    best = min(
        (one for one in fitted if one is not None),
        key=lambda one: one.projection.error,
        default=None,
    )
    return None if best is None else _polished(weight, nbytes, best)


def _polished(weight: Tensor, nbytes: int, fitted: Fitted) -> Fitted:
    """Return the same factors projected at greater length, if they fit then."""
    done = project(weight, fitted.spec, rounds=_LAST_ROUNDS)
    size = coded_bytes(done.codes, fitted.spec)
    if size > nbytes or done.error > fitted.projection.error:
        return fitted
    return Fitted(spec=fitted.spec, projection=done, nbytes=size)


def _kinds(weight: Tensor, nbytes: int, like: MLGSpec) -> Iterator[MLGSpec]:
    """Yield a spec of each kind of factors, of as many bases as fit if they are packed."""
    for base_in in BASES_IN:
        for bits in _KINDS:
            largest = None
            for bases in range(1, _limit(weight)):
                spec = spec_like(like, base_in, bases, bits)
                if generated_bytes(weight.shape, spec) > nbytes:
                    break
                largest = spec
            if largest is not None:
                yield largest


def _filled(weight: Tensor, nbytes: int, spec: MLGSpec, size: int) -> Fitted | None:
    """Return the projection on as many bases as fit. size: the coded bytes of `spec`."""
    best = None
    bases = spec.base_out
    for _ in range(_TRIES):
        wanted = max(1, min(int(bases * nbytes / size), _limit(weight) - 1))
        bases = min(wanted, bases - 1) if size > nbytes else wanted
        if bases < 1 or (best is not None and bases <= best.spec.base_out):
            break
        spec = spec.model_copy(update={"base_out": bases})
        done = project(weight, spec, rounds=_ROUNDS)
        size = coded_bytes(done.codes, spec)
        if size <= nbytes:
            best = Fitted(spec=spec, projection=done, nbytes=size)
            if size > 0.98 * nbytes:
                break
    return best


def _limit(weight: Tensor) -> int:
    """Return a number of bases that is too large for coefficients of outputs."""
    outputs, inputs, *kernel = weight.shape
    area = int(np.prod(kernel))
    return min(outputs, inputs * area) if area > 1 else int(0.9 * min(outputs, inputs))
