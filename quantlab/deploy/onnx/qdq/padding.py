"""What stands around images."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.onnx.qdq.writer import Writer
from quantlab.integer.operations import Convolution, SumPool
from quantlab.integer.program import Reading


def around(
    writer: Writer, operation: Convolution | SumPool, x: str, given: Reading, codes: NDArray[Any]
) -> tuple[str, list[int]]:
    """Return a layer's input and its padding; where the code beyond the border is not that of 0,
    the input with it around, and no padding. codes: `[C]`."""
    windows = operation.windows
    tensor = operation.inputs[0]
    channels, height, width = writer.program.types[tensor].shape
    top, left, bottom, right = windows.padding
    below, beside = windows.overhang(height, width)
    bottom, right = bottom + below, right + beside
    border_C = given(codes)
    is_small = max(top, bottom) < windows.kernel[0] and max(left, right) < windows.kernel[1]
    if np.abs(border_C).max() <= 1e-6 * float(given.scale) and is_small:
        return x, [top, left, bottom, right]
    pads = writer.graph.number([0, 0, top, left, 0, 0, bottom, right])
    padded = writer.graph.node("Pad", x, pads)
    border = np.zeros((channels, top + height + bottom, left + width + right))
    border += border_C[:, None, None]
    border[:, top : top + height, left : left + width] = 0
    if border.any():
        padded = writer.graph.node("Add", padded, writer.number(border))
    is_of_codes = x == writer.floats[tensor] and tensor in writer.codes
    return (writer.again(tensor, padded) if is_of_codes else padded), [0, 0, 0, 0]
