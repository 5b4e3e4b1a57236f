"""Functions of one number, by table, and products."""

import numpy as np
import torch
from torch import fx, nn

from quantlab.graphs.paths import origin
from quantlab.integer.lower.grid import byte_grid
from quantlab.integer.lower.lowering import Lowering
from quantlab.integer.lower.value import Term, Value, codes_of
from quantlab.integer.operations import Lookup, Multiply

# Of one number each, without state.
TABULATED = (
    nn.CELU, nn.ELU, nn.GELU, nn.Hardshrink, nn.Hardsigmoid, nn.Hardswish,
    nn.LogSigmoid, nn.Mish, nn.SELU, nn.Sigmoid, nn.SiLU, nn.Softplus, nn.Softshrink, nn.Softsign,
    nn.Tanh, nn.Tanhshrink, nn.Threshold,
)  # fmt: skip


def lower_function_of_one(lowering: Lowering, node: fx.Node, layer: nn.Module, x: Value) -> Value:
    """Return an activation by a table of 256 entries, its input on a grid of 8 bits."""
    source = lowering.source(node)
    if x.grid is None or x.grid.kind.maximum > 255 or x.grid.scale.size > 1:
        grid = byte_grid(*lowering.range_of(source))
        x = lowering.builder.quantize(x, grid, f"{source.name}_codes")
    assert x.grid is not None
    codes = np.arange(x.grid.kind.minimum, x.grid.kind.maximum + 1)
    reals = (codes.clip(x.grid.low, x.grid.high) - x.grid.zero_point) * x.grid.scale
    with torch.no_grad():
        results = layer.forward(torch.from_numpy(reals.astype(np.float64))).numpy()
    ends = float(results.min()), float(results.max())
    grid = lowering.own_grid(node) or lowering.next_grid(node) or lowering.seen_grid(*ends)
    tensor = lowering.builder.emit(
        Lookup(
            inputs=(x.terms[0].tensor,),
            output=lowering.builder.name(node.name),
            layer=origin(node),
            table=grid.encode(results).astype(np.int16),
            kind=grid.kind,
        )
    )
    return codes_of(tensor, grid, x.shape, origin(node))


def lower_multiply(lowering: Lowering, node: fx.Node, left: Value, right: Value) -> Value:
    """Return the product of two tensors of codes."""
    sources = node.all_input_nodes
    source_of = {left: sources[0], right: sources[-1]}
    made = {x: lowering.codes(x, source_of[x]) for x in lowering.costly_first([left, right])}
    sides = [made[left], made[right]]
    grids = [side.grid for side in sides]
    assert grids[0] is not None
    assert grids[1] is not None
    tensor = lowering.builder.emit(
        Multiply(
            inputs=tuple(side.terms[0].tensor for side in sides),
            output=lowering.builder.name(node.name),
            layer=origin(node),
            left_zero=int(grids[0].zero_point),
            right_zero=int(grids[1].zero_point),
        )
    )
    return Value(
        terms=(Term(tensor=tensor, scale=np.asarray(grids[0].scale * grids[1].scale)),),
        offset=np.array(0.0),
        shape=lowering.shape(node),
        node=origin(node),
    )
