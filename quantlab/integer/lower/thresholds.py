"""Exact thresholds: the accumulators at which the code that training has gives way to the next.

Found by evaluating the quantizer itself in float64, not a formula for it. A quantizer never falls
where its input rises, so each threshold is found by halving the range of the accumulator.
"""

from collections.abc import Mapping

import numpy as np

from quantlab.integer.bounds import Bound
from quantlab.integer.lower.grid import Grid
from quantlab.integer.lower.value import Value
from quantlab.integer.operations import Threshold


def has_rows(value: Value) -> bool:
    """Return whether a value has one term, and one scale and offset for each channel, axis 0: not
    by place, and not by the outputs of a linear layer on several vectors."""
    scale = np.broadcast_shapes(value.terms[0].scale.shape, value.offset.shape)
    by_place = scale[1:] if len(scale) == len(value.shape) else scale
    return len(value.terms) == 1 and all(size == 1 for size in by_place)


def thresholds_for(value: Value, grid: Grid, bounds: Mapping[str, Bound], output: str) -> Threshold:
    """Return the operation that gives a value its codes. See `has_rows` for which."""
    assert has_rows(value)
    (term,) = value.terms
    shape = np.broadcast_shapes(term.scale.shape, value.offset.shape)
    scale_C1 = np.broadcast_to(term.scale, shape).reshape(-1, 1)
    offset_C1 = np.broadcast_to(value.offset, shape).reshape(-1, 1)
    signs_C = np.where(scale_C1[:, 0] < 0, -1, 1).astype(np.int8)
    bound = bounds[term.tensor]
    reach = max(abs(bound.lowest), abs(bound.highest)) + 1
    levels_L = np.arange(1, grid.num_levels)
    codes_L = grid.low + grid.step * levels_L

    # The first accumulator, times its sign, that reaches each code: between -reach and reach, where
    # `reach` stands for never.
    low_CL = np.full((len(scale_C1), len(levels_L)), -reach, dtype=np.int64)
    high_CL = np.full_like(low_CL, reach)
    while (low_CL < high_CL).any():
        middle = (low_CL + high_CL) // 2
        reals = np.clip(middle * signs_C[:, None] * scale_C1 + offset_C1, value.low, value.high)
        is_reached = grid.encode(np.ascontiguousarray(reals)) >= codes_L
        high_CL = np.where(is_reached, middle, high_CL)
        low_CL = np.where(is_reached, low_CL, np.minimum(middle + 1, high_CL))
    return Threshold(
        inputs=(term.tensor,),
        output=output,
        layer=value.node,
        thresholds=high_CL,
        signs=signs_C,
        low=grid.low,
        step=grid.step,
        kind=grid.kind,
    )
