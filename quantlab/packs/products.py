"""Products as the linear algebra of NumPy has them: fast, their sums in another order."""

import numpy as np

from quantlab.floats import interpreter
from quantlab.floats.interpreter import Arrays, Floats, finish_product, padded_image
from quantlab.floats.operations import Operation, Product


def compute(operation: Operation, arrays: Arrays, to: Floats) -> None:
    """Write what an operation makes of arrays to its output, as `interpreter.compute` does."""
    if not isinstance(operation, Product) or operation.is_depthwise:
        interpreter.compute(operation, arrays, to)
        return
    (rows, columns), windows = operation.places, operation.windows
    padded = padded_image(operation, arrays[operation.input])
    weight = operation.weight.reshape(operation.groups, -1, *operation.weight.shape[1:])
    sums = np.zeros((operation.groups, len(padded) * rows * columns, weight.shape[1]), np.float32)
    for i in range(windows.kernel[0]):
        for j in range(windows.kernel[1]):
            begin, start = i * windows.dilation[0], j * windows.dilation[1]
            taps = padded[:, begin :: windows.stride[0], start :: windows.stride[1]]
            taps = np.moveaxis(taps[:, :rows, :columns], 3, 0)
            sums += taps.reshape(*sums.shape[:2], -1) @ weight[:, :, i, j].swapaxes(1, 2)
    by_place = sums.swapaxes(0, 1).reshape(len(padded), rows, columns, -1)
    finish_product(operation, by_place, to)
