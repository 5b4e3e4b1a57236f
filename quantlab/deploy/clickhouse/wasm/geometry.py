"""Which elements a layer multiplies: windows of an image with its channels last.

A window is a list of runs, elements that follow one another in memory: a row of the kernel, or one
of its pixels where the kernel is dilated. A linear layer has windows of one pixel.
"""

from dataclasses import dataclass
from math import prod

from quantlab.integer.operations import Convolution, Linear, Windows
from quantlab.integer.tensor_type import TensorType


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """Sizes in elements. height, width, channels: of the input. rows, columns: of the output.
    padding: of the windows, top, left, bottom, right, with what hangs over."""

    height: int
    width: int
    channels: int
    rows: int
    columns: int
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def padded_height(self) -> int:
        return self.padding[0] + self.height + self.padding[2]

    @property
    def padded_width(self) -> int:
        return self.padding[1] + self.width + self.padding[3]

    @property
    def is_padded(self) -> bool:
        return any(self.padding)

    @property
    def run_pixels(self) -> int:
        """How many pixels follow one another in a window."""
        return self.kernel[1] if self.dilation[1] == 1 else 1

    @property
    def run_length(self) -> int:
        """Elements of a run."""
        return self.run_pixels * self.channels

    @property
    def run_starts(self) -> tuple[int, ...]:
        """Where each run of a window begins, in pixels."""
        (height, width), (down, across) = self.kernel, self.dilation
        return tuple(
            row * down * self.padded_width + column * across
            for row in range(height)
            for column in range(0, width, self.run_pixels)
        )

    @property
    def num_positions(self) -> int:
        return self.rows * self.columns


def geometry_of(layer: Convolution | Linear, given: TensorType) -> Geometry | None:
    """Return the geometry of a layer; None for one with groups, and for a linear one over images,
    whose elements lie in another order."""
    if isinstance(layer, Linear):
        if len(given.shape) == 3:
            return None
        count, channels = prod(given.shape[:-1]), given.shape[-1]
        return Geometry(height=1, width=count, channels=channels, rows=1, columns=count)
    if layer.groups > 1:
        return None
    channels, height, width = given.shape
    windows: Windows = layer.windows
    rows, columns = windows.output_size(height, width)
    top, left, bottom, right = windows.padding
    below, beside = windows.overhang(height, width)
    return Geometry(
        height=height,
        width=width,
        channels=channels,
        rows=rows,
        columns=columns,
        kernel=windows.kernel,
        stride=windows.stride,
        dilation=windows.dilation,
        padding=(top, left, bottom + below, right + beside),
    )
