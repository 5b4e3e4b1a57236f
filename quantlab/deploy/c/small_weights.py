"""Weights of layers of little code: in pairs, or in Rice codes.

Pairs are the nonzero weights, each with its gap, as `runtime/small_pairs.inc` reads them:

    of each output   a byte: how many pairs; 255 for 255 and more, of which another such byte tells
    of each pair     a byte with both gaps, the first in its lower half; both weights

A gap is the distance to the entry before, or to the begin of the window. One beyond 15 is split by
entries whose weight is zero; one more, of gap 0, ends an odd number. Rice codes are those of
`quantlab.formats.weights.rice`: fewer bytes, whose entries take three times as long.
"""

from collections.abc import Mapping
from math import prod

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.kernels.kernel import Factors
from quantlab.formats.weights.rice import Rice

PLACES = 4
"""QL_SMALL_PLACES: how many are made at once."""

PAIRS, RICE = "small", "small_rice"
LITTLE = (PAIRS, RICE)
_CODE = {PAIRS: 440, RICE: 570}  # on a Cortex-M3
_PAIRS, _FARTHEST = 255, 15


def little(layers: Mapping[str, Factors], *, is_fast: bool) -> dict[str, str]:
    """Return the form of each layer's weights: the fewest bytes of all, their code included.

    is_fast: Rice codes only where they are read once, or take no more instructions.
    """
    sizes = {name: _sizes(factors, is_fast=is_fast) for name, factors in layers.items()}

    def total(choice: Mapping[str, str]) -> int:
        weights = sum(sizes[name][form] for name, form in choice.items())
        return weights + sum(_CODE[form] for form in set(choice.values()))

    choices = [
        {
            name: min([form for form in forms if form in own] or [PAIRS], key=own.__getitem__)
            for name, own in sizes.items()
        }
        for forms in ((PAIRS,), (RICE,), LITTLE)
    ]
    return min(choices, key=total)


def stored(codes_OK: NDArray[np.int8], form: str) -> NDArray[np.uint8]:
    """Return weights in a form."""
    if form == RICE:
        return Rice().encode(codes_OK).arrays["stream"]
    return np.concatenate([_pairs(codes) for codes in codes_OK])


def _sizes(factors: Factors, *, is_fast: bool) -> dict[str, int]:
    codes = np.ascontiguousarray(factors.weight).reshape(len(factors.weight), -1)
    sizes = {PAIRS: stored(codes, PAIRS).size}
    num_entries = 2 * (sizes[PAIRS] - len(codes)) // 3
    is_read_once = prod(factors.num_places) <= PLACES
    if not is_fast or is_read_once or num_entries > 3 * np.count_nonzero(codes):
        sizes[RICE] = Rice().nbytes(codes)
    return sizes


def _pairs(codes: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Return the weights of an output."""
    (at,) = np.nonzero(codes)
    gaps = np.diff(at, prepend=0)
    # Before an entry stand those that split its gap.
    num_split = np.maximum(0, -(-gaps // _FARTHEST) - 1)
    ends = np.cumsum(num_split + 1) - 1
    size = int(ends[-1]) + 1 if at.size else 0
    steps, weights = np.zeros(size + size % 2, np.int64), np.zeros(size + size % 2, np.uint8)
    steps[:size] = _FARTHEST
    steps[ends] = gaps - _FARTHEST * num_split
    weights[ends] = codes[at].view(np.uint8)
    first, second = steps.reshape(-1, 2).T
    pairs = np.stack([first | second << 4, *weights.reshape(-1, 2).T], axis=1).astype(np.uint8)
    parts = [pairs[begin : begin + _PAIRS] for begin in range(0, len(pairs) + 1, _PAIRS)]
    return np.concatenate(
        [part for some in parts for part in (np.array([len(some)], np.uint8), some.reshape(-1))]
    )
