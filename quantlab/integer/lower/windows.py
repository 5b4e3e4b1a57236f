"""The windows of a convolution."""

from typing import Any

from torch import nn

from quantlab.integer.operations import Windows

Pair = tuple[int, int]


def windows_of(layer: nn.Conv1d | nn.Conv2d) -> Windows:
    """Return the windows of a convolution, those of one axis over images of one row."""
    axes = len(layer.kernel_size)
    kernel, dilation = pair(layer.kernel_size, axes), pair(layer.dilation, axes)
    if layer.padding == "same":
        totals = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        top, left = (total // 2 for total in totals)
        padding = (top, left, totals[0] - top, totals[1] - left)
    else:
        given = 0 if isinstance(layer.padding, str) else layer.padding
        rows, columns = pair(given, axes, 0)
        padding = (rows, columns, rows, columns)
    return Windows(
        kernel=kernel, stride=pair(layer.stride, axes), padding=padding, dilation=dilation
    )


def pair(sizes: Any, num_axes: int, of_height: int = 1) -> Pair:
    """Return the sizes of height and width of a layer of one axis or two.

    sizes: one for all axes, or of each. of_height: where the layer has only a width.
    """
    *_, last = given = (sizes,) * num_axes if isinstance(sizes, int) else tuple(sizes)
    return (of_height if num_axes == 1 else int(given[0])), int(last)
