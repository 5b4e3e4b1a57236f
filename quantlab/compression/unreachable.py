"""The error for a budget at which the floor cannot be held."""

from collections.abc import Sequence

from quantlab.compression.report import Point
from quantlab.errors import UsageError


class UnreachableError(UsageError):
    """A budget that cannot be met at the wanted accuracy.

    smallest: the fewest bytes at which the floor held on the way, None if nowhere. curve: accuracy
    over bytes, as training went.
    """

    def __init__(self, message: str, *, smallest: int | None, curve: Sequence[Point] = ()) -> None:
        super().__init__(message)
        self.smallest = smallest
        self.curve = tuple(curve)
