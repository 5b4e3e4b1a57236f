"""Weights as `runtime/small.inc` reads them: pairs of nonzero ones, each with its gap.

    of each output   a byte: how many pairs; 255 for 255 and more, of which another such byte tells
    of each pair     both gaps: a byte, the first in its lower half, or a byte each; both weights

A gap is the distance to the entry before, or to the begin of the window. A longer one than gaps
have bits for is split by entries whose weight is zero; one more, of gap 0, ends an odd number.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_PAIRS = 255


@dataclass(frozen=True, kw_only=True, eq=False)
class Pairs:
    """stream: of all outputs. has_long_gaps: whether gaps have a byte each."""

    stream: NDArray[np.uint8]
    has_long_gaps: bool


def pairs_of(codes_OK: NDArray[np.int8]) -> Pairs:
    """Return the weights of a layer with the gaps that take fewer bytes."""
    forms = [
        Pairs(
            stream=np.concatenate([_row(codes, has_long_gaps) for codes in codes_OK]),
            has_long_gaps=has_long_gaps,
        )
        for has_long_gaps in (False, True)
    ]
    return min(forms, key=lambda form: form.stream.size)


def _row(codes: NDArray[np.int8], has_long_gaps: bool) -> NDArray[np.uint8]:
    farthest = 255 if has_long_gaps else 15
    (at,) = np.nonzero(codes)
    gaps = np.diff(at, prepend=0)
    # Before an entry stand those that split its gap.
    num_split = np.maximum(0, -(-gaps // farthest) - 1)
    ends = np.cumsum(num_split + 1) - 1
    size = int(ends[-1]) + 1 if at.size else 0
    size += size % 2
    steps, weights = np.zeros(size, np.int64), np.zeros(size, np.uint8)
    steps[: int(ends[-1]) + 1 if at.size else 0] = farthest
    steps[ends] = gaps - farthest * num_split
    weights[ends] = codes[at].view(np.uint8)
    first, second = steps.reshape(-1, 2).T
    both = [first, second] if has_long_gaps else [first | second << 4]
    pairs = np.stack([*both, *weights.reshape(-1, 2).T], axis=1).astype(np.uint8)
    parts = [pairs[begin : begin + _PAIRS] for begin in range(0, len(pairs) + 1, _PAIRS)]
    return np.concatenate(
        [part for some in parts for part in (np.array([len(some)], np.uint8), some.reshape(-1))]
    )
