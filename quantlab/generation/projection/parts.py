"""Bases a few at a time, so that whole ones in float64 take little memory beside the weight."""

from collections.abc import Iterator

from torch import Tensor

_SHARE = 16  # of a weight, in elements, is the most that some bases have


def parts_of_bases(weight: Tensor, bases: int) -> Iterator[slice]:
    """Yield slices of the bases of a weight `[Co, Ci, S]`."""
    count = max(1, len(weight) // _SHARE)
    for start in range(0, bases, count):
        yield slice(start, start + count)
