"""Bits in words, and sums of products by counting them."""

import numpy as np
from numpy.typing import DTypeLike, NDArray

from quantlab.integer.layout.planes import Planes

Words = NDArray[np.unsignedinteger]
_TYPES: dict[int, DTypeLike] = {8: np.uint8, 16: np.uint16, 32: np.uint32, 64: np.uint64}


def num_words(num_bits: int, width: int = 64) -> int:
    """Return how many words of `width` bits hold so many bits."""
    return -(-num_bits // width)


def pack(bits: NDArray[np.uint8], width: int = 64) -> Words:
    """Return bits `[..., N]`, 0 and 1, as words `[..., ceil(N / width)]`; the first is the lowest.

    The tail of the last word is 0. width: 8, 16, 32 or 64.
    """
    count = num_words(bits.shape[-1], width)
    tail = count * width - bits.shape[-1]
    whole = np.pad(bits, [(0, 0)] * (bits.ndim - 1) + [(0, tail)])
    bytes_of = np.packbits(whole, axis=-1, bitorder="little")
    little = np.dtype(_TYPES[width]).newbyteorder("<")
    return np.ascontiguousarray(bytes_of).view(little).astype(_TYPES[width])


def unpack(words: Words, count: int) -> NDArray[np.uint8]:
    """Return the first `count` bits `[..., count]` of words. The inverse of `pack`."""
    little = words.astype(words.dtype.newbyteorder("<"))
    bytes_of = np.ascontiguousarray(little).view(np.uint8)
    return np.unpackbits(bytes_of, axis=-1, count=count, bitorder="little")


def count_bits(words: Words) -> NDArray[np.int64]:
    """Return how many bits are set in each row of words `[..., W]`, as `[...]`."""
    bits = np.unpackbits(np.ascontiguousarray(words).view(np.uint8), axis=-1)
    counts: NDArray[np.int64] = bits.sum(-1, dtype=np.int64)
    return counts


def dot(x: Words, x_planes: Planes, weight: Words, weight_planes: Planes, count: int) -> int:
    """Return the sum of products of `count` integers in words, `[planes, W]` each.

    With x = o + sum of c_p x_p and w = u + sum of d_q w_q over bits it is

        sum of c_p d_q popcount(x_p & w_q) + u sum of c_p popcount(x_p)
        + o sum of d_q popcount(w_q) + o u count

    of which all but the first term is known of the weights alone, or shared by all outputs.
    """
    c, d = (np.array(planes.coefficients, np.int64) for planes in (x_planes, weight_planes))
    both = count_bits(x[:, None] & weight[None])
    of_x, of_weight = c @ count_bits(x), d @ count_bits(weight)
    o, u = x_planes.offset, weight_planes.offset
    return int(c @ both @ d + u * of_x + o * of_weight + o * u * count)
