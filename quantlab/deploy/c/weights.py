"""The order of a layer's weights: that in which `runtime/product.inc` reads them."""

import numpy as np
from numpy.typing import NDArray

BLOCK = 4


def packed(weight: NDArray[np.int8], groups: int, *, is_joined: bool) -> NDArray[np.int8]:
    """Return the weights of a layer in the order of memory.

    weight: `[O, kernel rows, kernel columns, channels of a group]`. is_joined: whether a row of the
    kernel is one span, else each place is.
    """
    num_outputs, _, columns, channels = weight.shape
    size = columns * channels if is_joined else channels
    spans = weight.reshape(num_outputs, -1, size)
    per_group = num_outputs // groups
    parts = []
    for first in range(0, num_outputs, per_group):
        whole = first + per_group // BLOCK * BLOCK
        parts += [_block(spans[at : at + BLOCK]) for at in range(first, whole, BLOCK)]
        parts.append(spans[whole : first + per_group].reshape(-1))
    return np.concatenate(parts)


def _block(spans: NDArray[np.int8]) -> NDArray[np.int8]:
    """Return the weights of four outputs, `[4, spans, numbers]`: squares, then what is left."""
    whole = spans.shape[2] // BLOCK * BLOCK
    squares = spans[:, :, :whole].reshape(BLOCK, spans.shape[1], -1, BLOCK)
    by_span = squares.transpose(1, 2, 0, 3).reshape(spans.shape[1], -1)
    rest = spans[:, :, whole:].transpose(1, 2, 0).reshape(spans.shape[1], -1)
    return np.concatenate([by_span, rest], axis=1).reshape(-1)
