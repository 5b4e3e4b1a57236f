"""A table: rows over numbered buffers, each `[N, H, W, C]`, as `quantlab.backend` runs them.

Buffers 0, 1, ... are the inputs of the table; each row writes the next one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import fx

from quantlab.generation.execution.folded import Folded
from quantlab.generation.execution.steps import Add, Bounds, Concat, Convolve, Pool, PoolKind, Step
from quantlab.graphs.shapes import shape_of


@dataclass(frozen=True, kw_only=True, eq=False)
class ConvolveRow:
    """See `steps.Convolve`."""

    layer: Folded
    input: int
    residual: int | None
    bounds: Bounds
    output: int


@dataclass(frozen=True, kw_only=True, eq=False)
class PoolRow:
    """See `steps.Pool`."""

    kind: PoolKind
    input: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    counts_padding: bool
    output: int


@dataclass(frozen=True, kw_only=True, eq=False)
class AddRow:
    """See `steps.Add`."""

    left: int
    right: int
    bounds: Bounds
    output: int


@dataclass(frozen=True, kw_only=True, eq=False)
class ConcatRow:
    """See `steps.Concat`."""

    inputs: tuple[int, ...]
    output: int


Row = ConvolveRow | PoolRow | AddRow | ConcatRow


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """shapes: `[H, W, C]` of each buffer. flat: outputs that torch has as `[N, C]`."""

    rows: tuple[Row, ...]
    shapes: tuple[tuple[int, int, int], ...]
    num_inputs: int
    outputs: tuple[int, ...]
    flat: frozenset[int]


def rows_of(steps: Sequence[Step], inputs: Sequence[fx.Node], outputs: Sequence[fx.Node]) -> Rows:
    """Return a table of steps. inputs: what they read that none of them makes. outputs: what is
    read behind them."""
    nodes = [*inputs, *(step.nodes[-1] for step in steps)]
    number = {node: place for place, node in enumerate(nodes)}
    return Rows(
        rows=tuple(_row(step, number) for step in steps),
        shapes=tuple(_image(node) for node in nodes),
        num_inputs=len(inputs),
        outputs=tuple(number[node] for node in outputs),
        flat=frozenset(number[node] for node in nodes if len(shape_of(node) or ()) == 2),
    )


def _row(step: Step, number: dict[fx.Node, int]) -> Row:
    output = number[step.nodes[-1]]
    match step:
        case Convolve():
            return ConvolveRow(
                layer=step.layer,
                input=number[step.input],
                residual=None if step.residual is None else number[step.residual],
                bounds=step.bounds,
                output=output,
            )
        case Pool():
            return PoolRow(
                kind=step.kind,
                input=number[step.input],
                kernel=step.kernel,
                stride=step.stride,
                padding=step.padding,
                counts_padding=step.counts_padding,
                output=output,
            )
        case Concat():
            return ConcatRow(inputs=tuple(number[node] for node in step.inputs), output=output)
        case Add():
            left, right = (number[node] for node in step.inputs)
            return AddRow(left=left, right=right, bounds=step.bounds, output=output)


def _image(node: fx.Node) -> tuple[int, int, int]:
    """Return height, width and channels of what a node gives."""
    _, channels, *pixels = shape_of(node) or ()
    height, width = pixels or (1, 1)
    return height, width, channels
