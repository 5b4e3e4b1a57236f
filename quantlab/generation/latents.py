"""The parameters whose quantizers give the codes that a projection found.

A quantizer rounds its parameter, the latent number of a factor. Those of a projection are the
numbers before its rounding: each is kept where it lies in the cell of its code, and else moved to
the nearest number within it, so that training may turn the code that was almost chosen.

`lsq`, `midtread`   the latent numbers themselves; the scale is set
`dorefa_sym`        of n = 2^bits - 1 the scale is M / n, M = max|tanh(w)|, which latents w decide:

    w = atanh(M t),  t in [-1, 1] the latent number over n scales, max|t| = 1

    Only the product of the factors' sizes is part of the weight. All M are the same here, unless
    they would leave the range of tanh: then factors that have no such limit, of 1 bit and of
    floats, take what is above it.
    Of 1 bit M is mean|w| and t lies on either side of zero. Since max|t| = 1, a factor without the
    last code cannot keep all its codes.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from quantlab.errors import UsageError
from quantlab.generation.factors import Factors
from quantlab.generation.spec import FLOAT_BITS, FactorName, MLGSpec

_MARGIN = 1e-3  # of a cell, left at both its ends
_LARGEST = 0.96  # M, above which the gradient of tanh is lost


class TooLargeError(UsageError):
    """Factors that no split of their size among them brings within the range of tanh."""


def latents_of(
    latent: Factors, codes: Factors, scales: Mapping[FactorName, Tensor], spec: MLGSpec
) -> tuple[Factors, dict[FactorName, Tensor]]:
    """Return latent numbers for `codes`, float64, and the scales that their quantizers are to have.

    latent, codes, scales: of a `Projection`. Factors of floats are their latent numbers, up to a
    common number. Raises TooLargeError for numbers that are too large for `dorefa_sym`.
    """
    floats = [
        name
        for name, numbers in latent.by_name.items()
        if numbers is not None and spec.bits[name] == FLOAT_BITS
    ]
    sizes = {name: scale for name, scale in scales.items() if name not in floats}
    stretch: Tensor | float = 1.0
    if spec.quantizer == "dorefa_sym":
        sizes, stretch = _balanced(sizes, spec, num_floats=len(floats))
    found: dict[FactorName, Tensor | None] = {}
    for name, numbers in latent.by_name.items():
        code = codes.by_name[name]
        if numbers is None or code is None or name not in sizes:
            found[name] = numbers if numbers is None else numbers * stretch
            continue
        steps = numbers.double() / scales[name].double()
        if spec.quantizer == "dorefa_sym":
            found[name] = _squashed(steps, code, sizes[name], spec.bits[name])
        else:
            found[name] = _in_cell(steps, code, spec.levels[name]) * sizes[name]
    return Factors.of(found), sizes


def _balanced(
    scales: Mapping[FactorName, Tensor], spec: MLGSpec, *, num_floats: int
) -> tuple[dict[FactorName, Tensor], Tensor | float]:
    """Return scales whose M are within the range of tanh, and a number for each factor of floats:
    all together of the same product."""
    ends = {name: 2 ** spec.bits[name] - 1 for name in scales}
    if not ends:
        return {}, 1.0
    product = torch.stack([scales[name].double() * end for name, end in ends.items()]).prod()
    same = product ** (1 / len(ends))
    num_limited = sum(end > 1 for end in ends.values())
    if float(same) <= _LARGEST or not num_limited:
        return {name: same / end for name, end in ends.items()}, 1.0
    num_free = len(ends) - num_limited + num_floats
    if not num_free:
        raise TooLargeError(
            f"quantizer: 'dorefa_sym' given, whose numbers end at 1, for factors with numbers of "
            f"{float(same):.3g}; 'lsq' allowed"
        )
    stretch = (same / _LARGEST) ** (num_limited / num_free)
    sizes = {
        name: torch.full_like(same, _LARGEST / e) if e > 1 else same * stretch
        for name, e in ends.items()
    }
    return sizes, stretch


def _in_cell(steps: Tensor, codes: Tensor, levels: tuple[int, ...]) -> Tensor:
    """Return latent numbers over the scale, each within the cell of its code."""
    wide, half = codes.double(), 0.5 - _MARGIN
    inside = torch.minimum(torch.maximum(steps, wide - half), wide + half)
    return inside.clamp(levels[0], levels[-1])


def _squashed(steps: Tensor, codes: Tensor, scale: Tensor, num_bits: int) -> Tensor:
    """Return latent numbers of `dorefa_sym`, whose codes are odd: a cell is 2 wide."""
    wide, half, end = codes.double(), 1 - 2 * _MARGIN, 2**num_bits - 1
    inside = torch.minimum(torch.maximum(steps, wide - half), wide + half)
    if num_bits == 1:
        return inside * (scale / inside.abs().mean())
    largest, stretched = _stretched(wide, end)
    if float(((stretched * (largest / end)) - wide).square().sum()) < (end - largest) ** 2:
        inside = stretched
    else:
        inside, largest = inside.clamp(-end, end), end
    flat = inside.flatten()
    first = flat.abs().argmax()
    flat[first] = math.copysign(end, float(flat[first]))
    return torch.atanh(flat.reshape(codes.shape) / end * (scale * largest))


def _stretched(codes: Tensor, end: int) -> tuple[float, Tensor]:
    """Return the largest code, and codes of a finer grid on which it is the last one.

    The largest number always gets the last code. If no code is it, either one becomes it or all are
    stretched, whichever moves them less.
    """
    largest = float(codes.abs().max())
    return largest, 2 * torch.floor(codes * (end / largest) / 2) + 1
