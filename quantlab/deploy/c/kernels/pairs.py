"""Weights of two outputs as one integer of 16 bits, as `runtime/paired.inc` reads them.

A pair has the weights a and b of outputs 2n and 2n + 1 for one element x: 256 * b + a. The sum of
pairs times x and that of low bytes times x give both sums, of a and of b, if no sum leaves 32 bits.
Of a last output without another one a pair has the weights of two elements.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.integer.tensor_type import IntegerType

BLOCK = 4
EIGHT = 8
_HIGH = 2**8


def pairs_of(weight: NDArray[Any]) -> NDArray[np.int64]:
    """Return the pairs of weights `[O, N]` of an even O: `[O / 2, N]`."""
    wide = weight.astype(np.int64)
    return wide[1::2] * _HIGH + wide[0::2]


def have_pairs(weight: NDArray[np.int8], kind: IntegerType) -> bool:
    """Return whether pairs of weights `[O, N]` fit into 16 bits, and all their sums into 32.

    kind: of x.
    """
    even, last = _parts(weight)
    if any(pairs_of(one).min(initial=0) < -(2**15) for one in (even, last)):
        return False
    sizes = pairs_of(np.abs(even.astype(np.int64))).sum(axis=1)
    return int(sizes.max(initial=0)) * max(-kind.minimum, kind.maximum) < 2**31


def in_order(weight: NDArray[np.int8], num_spans: int) -> NDArray[np.int16]:
    """Return the pairs of weights `[O, N]` in the order of memory, a window in equal spans."""
    even, last = _parts(weight)
    pairs = pairs_of(even).astype(np.int16)
    whole = len(weight) // BLOCK * (BLOCK // 2)
    length = weight.shape[1] // num_spans
    blocks = pairs[:whole].reshape(-1, 2, num_spans, length).transpose(0, 2, 1, 3)
    parts = [_block(block) for block in blocks.reshape(-1, 2, length)]
    parts += [pairs[whole:].reshape(-1), pairs_of(last).astype(np.int16).reshape(-1)]
    return np.concatenate(parts)


def _parts(weight: NDArray[np.int8]) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Return an even number of outputs, and of a last one the weights as `[2, N / 2]`, those of
    even and of odd elements, with a 0 behind them if they are odd."""
    even = len(weight) // 2 * 2
    last = weight[even:].reshape(-1)
    filled = np.concatenate([last, np.zeros(len(last) % 2, np.int8)])
    return weight[:even], filled.reshape(-1, 2).T


def _block(pairs: NDArray[np.int16]) -> NDArray[np.int16]:
    """Return a span of four outputs, pairs `[2, N]`: eights of both, then what is left of both."""
    whole = pairs.shape[1] // EIGHT * EIGHT
    eights = pairs[:, :whole].reshape(2, -1, EIGHT).transpose(1, 0, 2)
    return np.concatenate([eights.reshape(-1), pairs[:, whole:].reshape(-1)])
