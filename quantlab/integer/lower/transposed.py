"""Transposed convolutions, as ordinary ones whose outputs take turns.

Output i of an axis, with stride s, padding p and dilation d, is

    y[i] = sum over t, where s divides i + p - d t, of w[t] x[(i + p - d t) / s].

The taps t depend on i mod s alone. So the outputs of one remainder are a convolution of stride 1
with some of the taps, the last first: none of the zeros is multiplied that stand between the inputs
in the usual picture (V. Dumoulin, F. Visin, A guide to convolution arithmetic for deep learning,
2016, arXiv:1603.07285, section 4). Remainders that follow one another and read the same inputs
share a convolution.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, product

import numpy as np
from numpy.typing import NDArray
from torch import fx, nn

from quantlab.graphs.paths import origin
from quantlab.integer.lower.arrangement import Interleaved
from quantlab.integer.lower.kernels import Kernel, convolve
from quantlab.integer.lower.lowering import Lowering
from quantlab.integer.lower.moves import Moves
from quantlab.integer.lower.value import Value
from quantlab.integer.lower.windows import pair
from quantlab.integer.operations import Windows


@dataclass(frozen=True, kw_only=True)
class _Phase:
    """Outputs of one remainder: output M reads the inputs M + start + dilation * k, times tap
    `taps[k]`; none if there are no taps."""

    taps: tuple[int, ...]
    start: int
    dilation: int

    @property
    def reads(self) -> tuple[int, int]:
        """Where its windows begin, and how many inputs each has."""
        return self.start, len(self.taps)


@dataclass(frozen=True, kw_only=True)
class _Window:
    """Of one axis: from which input to before which, and what stands before and behind them."""

    begin: int
    end: int
    before: int
    after: int


def transposed(
    lowering: Lowering,
    node: fx.Node,
    layer: nn.ConvTranspose1d | nn.ConvTranspose2d,
    x: Value,
    weight: NDArray[np.int8],
    bias: NDArray[np.int64],
) -> str:
    """Return the sums of a transposed convolution over codes `[C, H, W]`.

    weight: `[O, C / groups, height, width]`, outputs first, unlike torch. bias: as of a Kernel.
    """
    axes = len(layer.kernel_size)
    height, width = pair(lowering.shape(node)[1:], axes)
    stride = pair(layer.stride, axes)
    padding, dilation = pair(layer.padding, axes, 0), pair(layer.dilation, axes)
    rows, columns = (
        _runs([_phase(output, *settings) for output in range(settings[1])])
        for settings in zip(weight.shape[2:], stride, padding, dilation, strict=True)
    )
    counts = (-(-height // stride[0]), -(-width // stride[1]))
    parts = [
        _part(lowering, node, x, (r, c), counts, weight, bias, layer.groups)
        for r, c in product(rows, columns)
    ]
    if stride == (1, 1):
        return parts[0]
    turns = Interleaved(
        rows=tuple(map(len, rows)), columns=tuple(map(len, columns)), height=height, width=width
    )
    return lowering.builder.arrange(turns, parts, f"{node.name}_turns", origin(node))


def _phase(output: int, kernel: int, stride: int, padding: int, dilation: int) -> _Phase:
    """Return the phase of an output below the stride."""
    taps = [t for t in reversed(range(kernel)) if (output + padding - dilation * t) % stride == 0]
    start = (output + padding - dilation * taps[0]) // stride if taps else 0
    return _Phase(taps=tuple(taps), start=start, dilation=dilation // math.gcd(dilation, stride))


def _runs(phases: Sequence[_Phase]) -> list[list[_Phase]]:
    """Return the phases that follow one another and read the same inputs, together."""
    return [list(run) for _, run in groupby(phases, key=lambda phase: phase.reads)]


def _part(
    lowering: Lowering,
    node: fx.Node,
    x: Value,
    runs: tuple[list[_Phase], list[_Phase]],
    counts: tuple[int, int],
    weight: NDArray[np.int8],
    bias: NDArray[np.int64],
    groups: int,
) -> str:
    """Return the sums of a run of rows and one of columns, `[O * rows * columns, *counts]`."""
    rows, columns = runs
    top, left = (
        _window(run[0], count, size)
        for run, count, size in zip(runs, counts, x.shape[1:], strict=True)
    )
    outputs, inputs = weight.shape[:2]
    if top is None or left is None:  # nothing but the bias
        top, left = (_Window(begin=0, end=1, before=0, after=count - 1) for count in counts)
        taken = np.zeros((outputs, len(rows), len(columns), inputs, 1, 1), np.int8)
    else:
        by_row = weight[:, :, [phase.taps for phase in rows]]
        taken = by_row[..., [phase.taps for phase in columns]].transpose(0, 2, 4, 1, 3, 5)
    kernel = taken.reshape(-1, *taken.shape[3:])
    windows = Windows(
        kernel=(kernel.shape[2], kernel.shape[3]),
        padding=(top.before, left.before, top.after, left.after),
        dilation=(rows[0].dilation, columns[0].dilation),
    )
    moves = Moves(lowering, node, x).slice(1, top.begin, top.end).slice(2, left.begin, left.end)
    biases = np.repeat(bias, len(rows) * len(columns))
    return convolve(
        lowering,
        node,
        moves.value,
        Kernel(weight=kernel, bias=biases, windows=windows, groups=groups),
    )


def _window(phase: _Phase, count: int, size: int) -> _Window | None:
    """Return what `count` outputs of a phase read of an axis of inputs; None for nothing of it."""
    last = phase.start + count - 1 + phase.dilation * (len(phase.taps) - 1)
    begin, end = max(0, phase.start), min(size, last + 1)
    if not phase.taps or begin >= end:
        return None
    return _Window(begin=begin, end=end, before=begin - phase.start, after=last + 1 - end)
