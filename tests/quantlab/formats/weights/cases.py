"""Codes for every encoding: at random, and those at which an encoding may go wrong."""

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from quantlab.formats.weights.bits import Bits
from quantlab.formats.weights.encoding import Encoding
from quantlab.formats.weights.nibbles import Nibbles
from quantlab.formats.weights.pattern import Pattern

GAPS = (0, 1, 14, 15, 16, 17, 30, 31, 254, 255, 256, 509, 511, 512)
COLUMNS = st.one_of(st.integers(1, 40), st.sampled_from([255, 256, 257, 512, 513]))


def behind_gap(gap: int) -> NDArray[np.int8]:
    """Return rows with a nonzero code behind a gap: at the begin, and behind another code; a row of
    zeros between them."""
    codes = np.zeros((3, 2 * gap + 2), np.int8)
    codes[0, gap] = -128
    codes[2, [gap, 2 * gap + 1]] = 127, 1
    return codes


EDGES: dict[str, NDArray[np.int8]] = {
    "one": np.ones((1, 1), np.int8),
    "zeros": np.zeros((3, 513), np.int8),
    "lowest": np.full((2, 9), -128, np.int8),
    "negative": np.full((3, 17), -1, np.int8),
    "rows of zeros": np.array([[0] * 9, [0] * 8 + [3], [0] * 9], np.int8),
    "reversed": np.arange(-60, 60, dtype=np.int8).reshape(4, 30)[::-1, ::-1],
    "all values": np.arange(-128, 128, dtype=np.int8).reshape(2, 128),
    "many rows": np.repeat(np.array([[0, 1, 0, 2]], np.int8), 33, axis=0),
    "columns first": np.asfortranarray(np.arange(12, dtype=np.int8).reshape(3, 4)),
    "rows of 256 codes": np.ones((2, 256), np.int8),
    **{f"gap {gap}": behind_gap(gap) for gap in GAPS},
}


@st.composite
def matrices(draw: st.DrawFn) -> NDArray[np.int8]:
    """Codes of any density."""
    shape = draw(st.integers(1, 3)), draw(COLUMNS)
    density = draw(st.sampled_from([0, 0.005, 0.05, 0.3, 0.7, 1]))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    codes = random.integers(-128, 128, shape)
    return np.where(random.random(shape) < density, codes, 0).astype(np.int8)


def fitted(encoding: Encoding, codes: NDArray[np.int8]) -> NDArray[np.int8]:
    """Return codes that an encoding can store, made of any."""
    if isinstance(encoding, Bits):
        shift = 8 - encoding.num_bits
        return codes >> shift if shift < 7 else np.where(codes < 0, -1, 1).astype(np.int8)
    if isinstance(encoding, Nibbles):
        return codes >> 4
    if isinstance(encoding, Pattern):
        made = codes.copy()
        for first in range(0, codes.shape[1], encoding.m):
            group = made[:, first : first + encoding.m]
            group[np.cumsum(group != 0, axis=1) > encoding.n] = 0
        return made
    return codes
