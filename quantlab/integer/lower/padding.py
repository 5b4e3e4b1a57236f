"""Padding by a constant."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from torch import fx, nn

from quantlab.graphs.operations import Pad
from quantlab.graphs.paths import origin
from quantlab.integer.lower.lowering import Lowering, refuse
from quantlab.integer.lower.moves import Moves
from quantlab.integer.lower.value import Term, Value
from quantlab.integer.operations import SumPool, Windows

PADS = (
    Pad, nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d, nn.ZeroPad1d, nn.ZeroPad2d,
    nn.ZeroPad3d,
)  # fmt: skip
Ends = tuple[int, int]


def lower_pad(lowering: Lowering, node: fx.Node, layer: nn.Module, x: Value) -> Value:
    """Return the value with one number around it, or with less at its ends where that is negative.

    It is the sum over windows of one element, behind whose border stands the number's code. What
    the code lacks of the number is an offset of these places.
    """
    ends, number = _padding(node, layer, len(x.shape))
    moves = Moves(lowering, node, x)
    for axis, (before, after) in enumerate(ends):
        size = moves.shape[axis]
        moves.slice(axis, max(0, -before), size - max(0, -after))
    added = [(max(0, before), max(0, after)) for before, after in ends]
    if not any(map(sum, added)):
        return moves.value
    codes = lowering.codes(moves.value, lowering.source(node))
    assert codes.grid is not None
    code = codes.grid.encode(np.array([number]))[0]
    lacking = number - float((code - codes.grid.zero_point) * codes.grid.scale)
    is_inside = np.pad(np.ones(codes.shape, bool), added)
    for axis, pair in enumerate(added):
        if sum(pair) > 0:
            codes = _padded(lowering, node, codes, axis, pair, int(code))
    if lacking == 0:
        return codes
    return replace(codes, offset=codes.offset + np.where(is_inside, 0.0, lacking), grid=None)


def _padding(node: fx.Node, layer: nn.Module, num_axes: int) -> tuple[list[Ends], float]:
    """Return what is put before and behind each axis, and the number."""
    given = layer.pad if isinstance(layer, Pad) else layer.padding
    assert isinstance(given, Sequence)
    ends = [(int(given[i]), int(given[i + 1])) for i in range(0, len(given), 2)]
    if len(ends) > num_axes:
        if any(ends[num_axes]):
            refuse(node, "it pads the batch")
        ends = ends[:num_axes]
    ends += [(0, 0)] * (num_axes - len(ends))
    return ends[::-1], float(getattr(layer, "value", None) or 0.0)


def _padded(
    lowering: Lowering, node: fx.Node, codes: Value, axis: int, ends: Ends, code: int
) -> Value:
    """Return codes with one code before and behind an axis."""
    grid, shape = codes.grid, codes.shape
    assert grid is not None
    moves = Moves(lowering, node, codes)
    moves.reshape((math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])))
    tensor = lowering.builder.emit(
        SumPool(
            inputs=(moves.tensor,),
            output=lowering.builder.name(node.name),
            layer=origin(node),
            windows=Windows(kernel=(1, 1), padding=(ends[0], 0, ends[1], 0)),
            padding_code=code,
        )
    )
    sums = Value(
        terms=(Term(tensor=tensor, scale=grid.scale),),
        offset=-grid.zero_point * grid.scale,
        shape=lowering.builder.types[tensor].shape,
        node=origin(node),
    )
    padded = lowering.builder.quantize(sums, grid, f"{node.name}_codes")
    whole = (*shape[:axis], shape[axis] + sum(ends), *shape[axis + 1 :])
    return Moves(lowering, node, padded).reshape(whole).value
