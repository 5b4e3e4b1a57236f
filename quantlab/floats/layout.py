"""Where the numbers of a tensor lie in an array, and views of them.

A view has the shape of a tensor, and at each place the number in the array of what lies there: so
what only moves numbers is a function of NumPy on such places, and moves nothing in memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quantlab.floats.operations import Places


@dataclass(frozen=True, eq=False)
class View:
    """A tensor without the batch. places: of its elements in the array, in its shape."""

    array: str
    places: Places

    @property
    def shape(self) -> tuple[int, ...]:
        return self.places.shape

    def order(self) -> Places:
        """Return the elements, counted in the tensor's own order, in the order of memory: an array
        that has them so has no gaps."""
        flat = self.places.reshape(-1)
        order = np.argsort(flat, kind="stable")
        if (np.diff(flat[order]) == 0).any():  # some places are there several times
            return np.argsort(places_of(self.shape).reshape(-1), kind="stable")
        return order


def places_of(shape: Sequence[int]) -> Places:
    """Return where the elements of an input or result lie: of an image channels last, of any other
    tensor in its own order."""
    sizes = tuple(shape)
    if len(sizes) != 3:
        return np.arange(int(np.prod(sizes))).reshape(sizes)
    channels, height, width = sizes
    return np.arange(int(np.prod(sizes))).reshape(height, width, channels).transpose(2, 0, 1)


def in_order(array: str, shape: Sequence[int], order: Places) -> View:
    """Return a tensor whose elements lie in an order in the whole of an array."""
    places = np.empty(len(order), np.intp)
    places[order] = np.arange(len(order))
    return View(array, places.reshape(shape))
