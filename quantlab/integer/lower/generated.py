"""Layers whose weight is generated: a convolution or product of matrices for each factor.

What passes between two of them gets 16 bits, for its range on samples, or 8 where memory is as
narrow; what lies beyond is clamped. The weight itself would need 15 to 17 bits, its sums 33.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import fx, nn

from quantlab.graphs.paths import origin
from quantlab.integer.lower.grid import seen_grid, shifted_grid
from quantlab.integer.lower.kernels import Kernel, convolve, multiply
from quantlab.integer.lower.layers import bias_of, codes_read, finished
from quantlab.integer.lower.lowering import Lowering, refuse
from quantlab.integer.lower.ranges import name_between
from quantlab.integer.lower.stages import GENERATED_LAYERS, Stage, blocks_of, stages_of
from quantlab.integer.lower.value import Term, Value
from quantlab.integer.operations import Operation, Permute, Reshape

_NARROW = 8


def lower_generated(lowering: Lowering, node: fx.Node, layer: nn.Module, x: Value) -> Value:
    """Return what a layer of generated weights makes of codes, as the accumulators of its last
    factor."""
    assert isinstance(layer, GENERATED_LAYERS)
    path, x = str(node.target), codes_read(lowering, node, layer, x)
    *first, last = stages_of(layer, path)
    # A Linear with blocks reads images, and gives rows of its bases.
    is_over_blocks = isinstance(layer, nn.Linear) and not (first or [last])[0].is_matrix
    rows = x.shape[:-1]
    if isinstance(layer, nn.Linear) and is_over_blocks:
        x = _as_blocks(lowering, node, x, blocks_of(layer))
    for stage in first:
        nothing = np.zeros(len(stage.weight), np.int64)
        sums = _sums(lowering, node, stage, x, nothing)
        x = _codes(lowering, node, stage, sums, _step(stage, x))
        if is_over_blocks and stage.factor == "basis":
            tensor = _as_rows(lowering, node, x.terms[0].tensor, rows)
            x = _in_place_of(lowering, x, tensor)
    step_O = np.full(len(last.weight), _step(last, x))
    bias_O, rest_O = bias_of(layer, path, step_O)
    tensor = _sums(lowering, node, last, x, bias_O)
    if is_over_blocks and last.factor == "basis":
        tensor = _as_rows(lowering, node, tensor, rows)
    return finished(lowering, node, layer, tensor, step_O, rest_O)


def _step(stage: Stage, x: Value) -> float:
    """Return what a sum of a stage stands for."""
    assert x.grid is not None
    return stage.scale * float(x.grid.scale.item())


def _sums(
    lowering: Lowering, node: fx.Node, stage: Stage, x: Value, bias: NDArray[np.int64]
) -> str:
    name = f"{node.name}_{stage.factor}"
    if stage.is_matrix:
        return multiply(lowering, node, x, stage.weight, bias, name)
    kernel = Kernel(weight=stage.weight, bias=bias, windows=stage.windows, groups=stage.groups)
    return convolve(lowering, node, x, kernel, name)


def _codes(lowering: Lowering, node: fx.Node, stage: Stage, sums: str, step: float) -> Value:
    """Return the sums of a stage as codes for the next one. Raises UsageError without samples."""
    name = name_between(node, stage.factor)
    if name not in lowering.ranges:
        refuse(
            node,
            "its weight is generated, and what passes between its factors has no quantizer; give "
            "samples, from which its range can be read",
        )
    low, high = lowering.ranges[name]
    if not (np.isfinite(low) and np.isfinite(high)):
        refuse(node, f"values behind its {stage.factor} on samples that are not finite")
    bits = lowering.builder.limits.memory_bits
    grid = seen_grid(low, high, bits) if bits <= _NARROW else shifted_grid(step, low, high)
    value = Value(
        terms=(Term(tensor=sums, scale=np.array(step)),),
        offset=np.array(0.0),
        shape=lowering.builder.types[sums].shape,
        node=str(node.target),
    )
    return lowering.builder.quantize(value, grid, f"{node.name}_{stage.factor}_codes")


def _as_blocks(lowering: Lowering, node: fx.Node, x: Value, blocks: tuple[int, int]) -> Value:
    """Return codes `[..., I]` as an image `[I / s, rows, s]`."""
    (term,), count = x.terms, int(np.prod(x.shape[:-1]))
    shape = (blocks[0], 1, blocks[1]) if count == 1 else (count, *blocks)
    tensor = _moved(lowering, node, Reshape, term.tensor, shape=shape)
    if count > 1:
        tensor = _moved(lowering, node, Permute, tensor, axes=(1, 0, 2))
    return _in_place_of(lowering, x, tensor)


def _as_rows(lowering: Lowering, node: fx.Node, tensor: str, rows: Sequence[int]) -> str:
    """Return an image `[O, rows, 1]` as rows `[..., O]`."""
    outputs, count, _ = lowering.builder.types[tensor].shape
    if count > 1:
        tensor = _moved(lowering, node, Permute, tensor, axes=(1, 2, 0))
    return _moved(lowering, node, Reshape, tensor, shape=(*rows, outputs))


def _moved(
    lowering: Lowering,
    node: fx.Node,
    kind: type[Operation],
    tensor: str,
    **settings: tuple[int, ...],
) -> str:
    builder = lowering.builder
    return builder.emit(
        kind(inputs=(tensor,), output=builder.name(node.name), layer=origin(node), **settings)
    )


def _in_place_of(lowering: Lowering, x: Value, tensor: str) -> Value:
    """Return codes that were moved."""
    (term,) = x.terms
    shape = lowering.builder.types[tensor].shape
    return replace(x, terms=(replace(term, tensor=tensor),), shape=shape)
