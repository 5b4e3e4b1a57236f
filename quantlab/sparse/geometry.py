"""What a layer connects: windows over images, or all features.

Images lie with the batch innermost, as planes `[planes][rows][columns][B]` with their padding. A
stride s takes every s-th row: an input channel becomes a plane for each remainder (phase) that some
weight reads, and within these planes each weight moves by one. So the place of what a weight reads
is a constant apart from what it is added to, whatever the stride, the dilation or the groups.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantlab.errors import UsageError

Pair = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Taps:
    """Where weights of a kernel read along one axis: phase and distance of each."""

    stride: int
    phases: tuple[int, ...]  # remainders that some weight reads
    phase: NDArray[np.int64]  # of each weight: its place in `phases`
    distance: NDArray[np.int64]  # of each weight, in rows of a phase

    @classmethod
    def of(cls, kernel: int, stride: int, dilation: int) -> "Taps":
        """Return the taps of a kernel."""
        reads = np.arange(kernel, dtype=np.int64) * dilation
        phases = tuple(sorted({int(remainder) for remainder in reads % stride}))
        phase = np.searchsorted(phases, reads % stride).astype(np.int64)
        return cls(stride=stride, phases=phases, phase=phase, distance=reads // stride)

    @property
    def reach(self) -> int:
        """The largest distance."""
        return int(self.distance.max())


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """A convolution's; a linear layer is one of 1 x 1 over images of 1 x 1."""

    kernel: Pair = (1, 1)
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    @property
    def taps(self) -> tuple[Taps, Taps]:
        """The taps of rows and of columns."""
        rows, columns = (
            Taps.of(*given) for given in zip(self.kernel, self.stride, self.dilation, strict=True)
        )
        return rows, columns

    def output_size(self, height: int, width: int) -> Pair:
        """Return the rows and columns of outputs. Raises UsageError where there are none."""
        sizes = []
        for axis, size in enumerate((height, width)):
            window = self.dilation[axis] * (self.kernel[axis] - 1) + 1
            count = (size + 2 * self.padding[axis] - window) // self.stride[axis] + 1
            if count < 1:
                raise UsageError(
                    f"input: {height} x {width} given, smaller than the kernel of "
                    f"{self.kernel[0]} x {self.kernel[1]}"
                )
            sizes.append(count)
        return sizes[0], sizes[1]
