"""Whole tensors as they lie: elements with the channels last, or planes of words.

Shapes: N samples, P planes, W words. A tensor of three axes is an image `[C, H, W]`; of all others
the last axis is taken for channels.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.integer.layout.choice import Elements
from quantlab.integer.layout.planes import Planes, joined, split
from quantlab.integer.layout.words import pack, unpack


def lay_out(x: NDArray[Any], layout: Elements | Planes, width: int = 64) -> NDArray[Any]:
    """Return a tensor `[N, *shape]` as it lies: elements in the order of memory, or the words
    `[N, P, ..., W]` of its planes, `width` channels a word, tails zero."""
    last = x.transpose(0, 2, 3, 1) if x.ndim == 4 else x
    if isinstance(layout, Elements):
        return np.ascontiguousarray(last)
    return np.moveaxis(pack(split(last, layout), width), 0, 1)


def restore(memory: NDArray[Any], layout: Elements | Planes, num_channels: int) -> NDArray[Any]:
    """Return the tensor `[N, *shape]` that lies so, planes as int64. The inverse of `lay_out`."""
    last = memory
    if isinstance(layout, Planes):
        last = joined(unpack(np.moveaxis(memory, 1, 0), num_channels), layout)
    return last.transpose(0, 3, 1, 2) if last.ndim == 4 else last
