"""Weights as fields of bits, which `runtime/fields.inc` multiplies two outputs at a time: see
`runtime/fields.h`."""

import numpy as np
from numpy.typing import NDArray

_HALF = 16  # bits of a word for each of two outputs
_EIGHT = 8  # outputs at once


def field_words(
    codes: NDArray[np.int8], num_bits: int, groups: int, most: int
) -> NDArray[np.uint32]:
    """Return the weights `[O, K]` of a layer: `most`, the mask, then group by group.

    num_bits: of a weight; 1 for -1 and 1. most: how many inputs give sums of 16 bits.
    """
    is_binary = num_bits == 1
    fields = (codes > 0).astype(np.uint32) if is_binary else codes + (1 << num_bits - 1)
    mask = ((1 << num_bits) - 1) * 0x00010001
    parts = [np.array([most, mask])]
    for group in fields.astype(np.uint32).reshape(groups, -1, codes.shape[1]):
        words = _pairs(group, num_bits)
        whole = len(group) // _EIGHT * (_EIGHT // 2)
        eights = words[:whole].reshape(-1, _EIGHT // 2, words.shape[1])
        parts += [eights.transpose(0, 2, 1).reshape(-1), words[whole:].reshape(-1)]
    return np.concatenate(parts).astype(np.uint32)


def _pairs(fields: NDArray[np.uint32], num_bits: int) -> NDArray[np.uint32]:
    """Return the words of two outputs each, `[ceil(O / 2), ceil(K / inputs of a word)]`."""
    num_outputs, columns = fields.shape
    inputs = _HALF // num_bits
    padded = np.pad(fields, [(0, num_outputs % 2), (0, -columns % inputs)])
    pairs = padded.reshape(-(-num_outputs // 2), 2, -1, inputs)
    shifts = num_bits * np.arange(inputs) + _HALF * np.arange(2).reshape(2, 1, 1)
    words: NDArray[np.uint32] = (pairs << shifts.astype(np.uint32)).sum((1, 3), dtype=np.uint32)
    return words


def field_bytes(shape: tuple[int, ...], num_bits: int, groups: int) -> int:
    """Return the bytes of what `field_words` gives for weights `[O, K]`."""
    num_outputs, columns = shape
    pairs = groups * -(-(num_outputs // groups) // 2)
    return 4 * (2 + pairs * -(-columns // (_HALF // num_bits)))


def most_inputs(num_bits: int, largest: int) -> int:
    """Return how many inputs, whole words of them, surely give sums of 16 bits with a sign.

    largest: of the inputs, without their signs.
    """
    inputs = _HALF // num_bits
    most = (2 ** (_HALF - 1) - 1) // (((1 << num_bits) - 1) * max(largest, 1))
    return int(min(most, 2**_HALF - inputs) // inputs * inputs)


def field_instructions(shape: tuple[int, ...], num_bits: int, most: int) -> float:
    """Return about how many instructions a Cortex-M4 takes for a window and weights `[O, K]` of one
    group."""
    num_outputs, columns = shape
    eights, left = divmod(num_outputs, _EIGHT)
    splits = -(-columns // most)
    of_eight = (1.2 + num_bits / 20) * _EIGHT * columns + 75 * splits + 80
    of_two = 7 * columns + 30 * splits + 50
    return 4 * columns + eights * of_eight + -(-left // 2) * of_two
