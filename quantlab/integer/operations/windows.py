"""Windows that slide over height and width."""

from dataclasses import dataclass
from typing import Any

from quantlab.errors import UsageError

Pair = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Windows:
    """padding: top, left, bottom, right. ceil_mode: a last window may hang over the end, if it
    begins within the input or its top and left padding, as torch has it."""

    kernel: Pair
    stride: Pair = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: Pair = (1, 1)
    ceil_mode: bool = False

    def __post_init__(self) -> None:
        are_pairs = all(_are(s, 2, 1) for s in (self.kernel, self.stride, self.dilation))
        if not are_pairs or not _are(self.padding, 4, 0):
            raise UsageError(
                f"windows: {self} given; allowed: two sizes from 1 of each, four paddings from 0"
            )

    @property
    def is_padded(self) -> bool:
        """Whether a window may reach beyond the input."""
        return self.ceil_mode or any(self.padding)

    def output_size(self, height: int, width: int) -> Pair:
        """Return how many windows there are. Raises UsageError if there is none."""
        top, left, bottom, right = self.padding
        sizes = (
            self._count(0, height, top, bottom),
            self._count(1, width, left, right),
        )
        if min(sizes) < 1:
            raise UsageError(f"windows: {self} given, but the input has {height} x {width}")
        return sizes

    def overhang(self, height: int, width: int) -> Pair:
        """Return how far the last windows reach beyond the padding, at the bottom and the right."""
        top, left, bottom, right = self.padding
        rows, columns = self.output_size(height, width)
        return (
            max(0, self._end(0, rows) - (height + top + bottom)),
            max(0, self._end(1, columns) - (width + left + right)),
        )

    def see_all(self, height: int, width: int) -> bool:
        """Return whether every window has an element of the input, not padding alone."""
        starts = -self.padding[0], -self.padding[1]
        return all(
            any(0 <= start + number * stride + step * dilation < size for step in range(kernel))
            for start, count, stride, dilation, kernel, size in zip(
                starts,
                self.output_size(height, width),
                self.stride,
                self.dilation,
                self.kernel,
                (height, width),
                strict=True,
            )
            for number in range(count)
        )

    def _reach(self, axis: int) -> int:
        return self.dilation[axis] * (self.kernel[axis] - 1) + 1

    def _end(self, axis: int, count: int) -> int:
        return (count - 1) * self.stride[axis] + self._reach(axis)

    def _count(self, axis: int, size: int, before: int, after: int) -> int:
        room, stride = size + before + after - self._reach(axis), self.stride[axis]
        if room < 0 and not self.ceil_mode:
            return 0
        if not self.ceil_mode:
            return room // stride + 1
        count = -(-room // stride) + 1
        return count - 1 if (count - 1) * stride >= size + before else count


def _are(sizes: Any, count: int, least: int) -> bool:
    """Return whether these are so many integers, none below `least`."""
    is_long_enough = isinstance(sizes, tuple) and len(sizes) == count
    return is_long_enough and all(isinstance(size, int) and size >= least for size in sizes)
