"""Pooling over windows."""

from collections.abc import Sequence

from quantlab import backend
from quantlab.backend import PoolWindows
from quantlab.integer.fast.layout import new, packed
from quantlab.integer.fast.step import Step, Tensors
from quantlab.integer.operations import AdaptiveSumPool, MaxPool, SumPool, Windows
from quantlab.integer.operations.pooling import adaptive_ends
from quantlab.integer.tensor_type import TensorType

Ends = list[tuple[int, int]]


Pool = MaxPool | SumPool | AdaptiveSumPool


class Pooled(Step):
    """The largest numbers, or the sums, of windows."""

    def __init__(self, operation: Pool, windows: PoolWindows, result: TensorType) -> None:
        self.inputs = operation.inputs
        self._output, self._result = operation.output, result
        self._is_sum = not isinstance(operation, MaxPool)
        self._windows = windows

    def run(self, tensors: Tensors, *, keep: bool, num_threads: int | None) -> Tensors:
        x = packed(tensors[self.inputs[0]])
        memory, result = new(len(x), self._result.shape, self._result.kind.dtype)
        backend.pool(x, self._windows, memory, is_sum=self._is_sum, num_threads=num_threads)
        return {self._output: result}


def windows_of(operation: Pool, shape: Sequence[int]) -> PoolWindows | None:
    """Return the windows over an input `[C, H, W]`; None if one lies wholly in the padding."""
    channels, height, width = shape
    if isinstance(operation, AdaptiveSumPool):
        rows, columns = (
            adaptive_ends(size, count)
            for size, count in zip((height, width), operation.size, strict=True)
        )
        return PoolWindows((height, width, channels), rows, columns, (1, 1), 0, 0)
    windows = operation.windows
    counts = windows.output_size(height, width)
    rows, columns = (_inside(windows, axis, counts[axis], shape[axis + 1]) for axis in (0, 1))
    if any(begin >= end for begin, end in (*rows, *columns)):
        return None
    code = operation.padding_code if isinstance(operation, SumPool) else 0
    window = windows.kernel[0] * windows.kernel[1]
    return PoolWindows((height, width, channels), rows, columns, windows.dilation, window, code)


def _inside(windows: Windows, axis: int, count: int, size: int) -> Ends:
    """Return what of each window lies on the input: begin and end, the begin one of its places."""
    dilation, ends = windows.dilation[axis], []
    for number in range(count):
        start = number * windows.stride[axis] - windows.padding[axis]
        last = start + (windows.kernel[axis] - 1) * dilation
        num_before = -(min(start, 0) // dilation)  # places before the input
        ends.append((start + num_before * dilation, min(last + 1, size)))
    return ends
