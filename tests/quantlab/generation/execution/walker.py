"""A table walked row by row in float64: what the kernels compute, as plainly as it can be said."""

import torch
from torch import Tensor
from torch.nn import functional

from quantlab.generation.execution.folded import Folded
from quantlab.generation.execution.rows import AddRow, ConcatRow, ConvolveRow, PoolRow, Row, Rows
from quantlab.generation.factors import Factors


def walk(rows: Rows, *inputs: Tensor) -> list[Tensor]:
    """Return the outputs `[N, C, H, W]` of a table."""
    buffers = [x.double().reshape(*x.shape, *[1] * (4 - x.ndim)) for x in inputs]
    for row in rows.rows:
        buffers.append(_computed(row, buffers))
    return [buffers[number] for number in rows.outputs]


def _computed(row: Row, buffers: list[Tensor]) -> Tensor:
    match row:
        case ConvolveRow():
            y = _convolved(row.layer, buffers[row.input])
            y = y if row.residual is None else y + buffers[row.residual]
            return y.clamp(*row.bounds)
        case PoolRow(kind="global_mean"):
            return buffers[row.input].mean((2, 3), keepdim=True)
        case PoolRow(kind="max"):
            x = buffers[row.input]
            return functional.max_pool2d(x, row.kernel, row.stride, row.padding)
        case PoolRow():
            return functional.avg_pool2d(
                buffers[row.input],
                row.kernel,
                row.stride,
                row.padding,
                count_include_pad=row.counts_padding,
            )
        case AddRow():
            return (buffers[row.left] + buffers[row.right]).clamp(*row.bounds)
        case ConcatRow():
            return torch.cat([buffers[number] for number in row.inputs], 1)


def _convolved(layer: Folded, x: Tensor) -> Tensor:
    codes = {n: None if f is None else f.double() for n, f in layer.factors.by_name.items()}
    window = layer.window
    y = functional.conv2d(
        x,
        Factors.of(codes).generate(),
        None,
        window.stride,
        window.padding,
        window.dilation,
        window.groups,
    )
    return y * layer.ratio[:, None, None] + layer.bias[:, None, None]
