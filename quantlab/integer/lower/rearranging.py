"""What moves numbers and changes none: as modules, functions or methods of tensors."""

import operator
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import fx, nn

from quantlab.graphs.operations import Concat
from quantlab.integer.lower.lowering import Lowering, refuse
from quantlab.integer.lower.value import Value, codes_of
from quantlab.integer.operations import Concatenate, Operation, Permute, Reshape, Slice

REARRANGING = (nn.Flatten, nn.Unflatten)
_aten = torch.ops.aten
_SAME = ("contiguous", "clone", _aten.clone.default, torch.clone, "detach")
_RESHAPES = (
    *("view", "reshape", "flatten", "squeeze", "unsqueeze", "unflatten"),
    *(torch.reshape, torch.flatten, torch.squeeze, torch.unsqueeze),
    *(_aten.view.default, _aten.reshape.default, _aten._unsafe_view.default),
)
_PERMUTES = ("permute", "transpose", torch.permute, torch.transpose)
_SPLITS = ("chunk", "split", torch.chunk, torch.split)
FUNCTIONS = frozenset((*_SAME, *_RESHAPES, *_PERMUTES, *_SPLITS, operator.getitem))


def lower_reshape(lowering: Lowering, node: fx.Node, layer: nn.Module, x: Value) -> Value:
    """Return the value in the shape that the node has."""
    return _moved(lowering, node, x, Reshape, shape=lowering.shape(node))


def lower_concat(
    lowering: Lowering, node: fx.Node, layer: Concat, values: Sequence[Value]
) -> Value:
    """Return the values one after the other, all on one grid."""
    grid = lowering.grid_for(node)
    sources = [value.node for value in values]
    codes = [
        lowering.builder.quantize(value, grid, f"{node.name}_{source}_codes")
        for value, source in zip(values, sources, strict=True)
    ]
    tensor = lowering.builder.emit(
        Concatenate(
            inputs=tuple(value.terms[0].tensor for value in codes),
            output=lowering.builder.name(node.name),
            layer=str(node.target),
            axis=_axis(node, layer.dim),
        )
    )
    return codes_of(tensor, grid, lowering.shape(node), str(node.target))


def lower_function(lowering: Lowering, node: fx.Node) -> Value | tuple[Value, ...]:
    """Return what a function or method of FUNCTIONS makes of a value."""
    target, source = node.target, node.args[0]
    assert isinstance(source, fx.Node)
    x = lowering.values[source]
    if target is operator.getitem:
        index = node.args[1]
        if isinstance(x, tuple) and isinstance(index, int):
            return x[index]
        refuse(node, "an index of a tensor has no integer operation")
    assert isinstance(x, Value)
    if target in _SAME:
        return x
    if target in _RESHAPES:
        if lowering.has_batch(node):
            return _moved(lowering, node, x, Reshape, shape=lowering.shape(node))
        refuse(node, "it mixes samples of a batch")
    if target in _PERMUTES:
        return _moved(lowering, node, x, Permute, axes=_permutation(node, len(x.shape) + 1))
    axis, ends = _parts(node, lowering)
    if axis < 0:
        refuse(node, "it splits a batch")
    x = lowering.codes(x, source, may_be_wide=True)
    return tuple(
        _moved(lowering, node, x, Slice, axis=axis, start=start, stop=stop) for start, stop in ends
    )


def _moved(
    lowering: Lowering, node: fx.Node, x: Value, operation: type[Operation], **settings: Any
) -> Value:
    if not x.is_uniform or x.is_clamped:
        x = lowering.codes(x, node.all_input_nodes[0], may_be_wide=True)
    (term,) = x.terms
    tensor = lowering.builder.emit(
        operation(
            inputs=(term.tensor,),
            output=lowering.builder.name(node.name),
            layer=str(node.target),
            **settings,
        )
    )
    moved = replace(term, tensor=tensor, scale=term.scale.reshape(()))
    shape = lowering.builder.types[tensor].shape
    return replace(x, terms=(moved,), offset=x.offset.reshape(()), shape=shape)


def _axis(node: fx.Node, dim: int) -> int:
    """Return an axis of a node's tensor, counted without the batch."""
    axes = len(node.meta["shape"])
    if dim % axes == 0:
        refuse(node, "along the batch, another axis allowed")
    return dim % axes - 1


def _permutation(node: fx.Node, num_axes: int) -> tuple[int, ...]:
    axes: list[int] = list(range(num_axes))
    arguments: Any = node.args[1:]
    if node.target in ("transpose", torch.transpose):
        one, two = (axis % num_axes for axis in arguments)
        axes[one], axes[two] = axes[two], axes[one]
    else:
        given = arguments[0] if isinstance(arguments[0], tuple | list) else arguments
        axes = [axis % num_axes for axis in given]
    if axes[0] != 0:
        refuse(node, "it moves the batch, which stays first")
    return tuple(axis - 1 for axis in axes[1:])


def _parts(node: fx.Node, lowering: Lowering) -> tuple[int, list[tuple[int, int]]]:
    """Return the axis of a split and where each part begins and ends."""
    shapes = node.meta["shape"]
    dim = node.kwargs.get("dim", node.args[2] if len(node.args) > 2 else 0)
    assert isinstance(dim, int)
    axis = dim % len(shapes[0])
    ends, start = [], 0
    for shape in shapes:
        ends.append((start, start + shape[axis]))
        start += shape[axis]
    return axis - 1, ends
