"""What moves elements and changes none: as modules, functions or methods of tensors."""

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from quantlab.graphs.operations import Add, Concat, Multiply, Stack, Subtract
from quantlab.graphs.paths import origin
from quantlab.integer.lower.constants import of_one_sample
from quantlab.integer.lower.finite import finite
from quantlab.integer.lower.grid import Grid
from quantlab.integer.lower.lowering import Lowering, refuse
from quantlab.integer.lower.maxima import WITH_PLACES
from quantlab.integer.lower.moves import Moves
from quantlab.integer.lower.value import Value, codes_of
from quantlab.integer.lower.views import View, views_of
from quantlab.integer.operations import Concatenate

REARRANGING = (nn.Flatten, nn.Unflatten)
SHUFFLES = (nn.PixelShuffle, nn.PixelUnshuffle, nn.ChannelShuffle)
_aten = torch.ops.aten
_SAME = (
    *("contiguous", "clone", "detach", "float", "double", "to", "type", "type_as", "cpu", "cuda"),
    *(torch.clone, torch.detach, _aten.clone.default, _aten.detach.default, _aten.alias.default),
    *(_aten.to.dtype, _aten._to_copy.default, _aten.contiguous.default),
)
_RESHAPES = (
    *("view", "reshape", "flatten", "unflatten", "view_as", "reshape_as", "ravel"),
    *(torch.reshape, torch.flatten, torch.unflatten),
    *(_aten.view.default, _aten.reshape.default, _aten._unsafe_view.default),
)
_EXPANSIONS = (
    *("expand", "expand_as", "broadcast_to", torch.broadcast_to),
    *(_aten.expand.default, _aten.expand_as.default),
)
_VIEWS = (
    *("permute", "transpose", "swapaxes", "swapdims", "movedim", "moveaxis", "t", "select"),
    *("narrow", "squeeze", "unsqueeze", "chunk", "split", "tensor_split", "unbind"),
    *(torch.permute, torch.transpose, torch.swapaxes, torch.swapdims, torch.movedim),
    *(torch.moveaxis, torch.t, torch.select, torch.narrow, torch.squeeze, torch.unsqueeze),
    *(torch.chunk, torch.split, torch.tensor_split, torch.unbind),
    *(operator.getitem, getattr),
    *(_aten.permute.default, _aten.transpose.int, _aten.select.int, _aten.slice.Tensor),
    *(_aten.narrow.default, _aten.squeeze.dim, _aten.squeeze.dims, _aten.squeeze.default),
    *(_aten.unsqueeze.default, _aten.chunk.default, _aten.split.Tensor),
    *(_aten.split_with_sizes.default, _aten.unbind.int, _aten.numpy_T.default, _aten.mT.default),
)
_REPEATS = ("repeat", _aten.repeat.default)
FUNCTIONS = frozenset((*_SAME, *_RESHAPES, *_EXPANSIONS, *_VIEWS, *_REPEATS))


def lower_reshape(lowering: Lowering, node: fx.Node, layer: nn.Module, x: Value) -> Value:
    """Return the value in the shape that the node has."""
    return _reshaped(lowering, node, x)


def lower_shuffle(lowering: Lowering, node: fx.Node, layer: nn.Module, x: Value) -> Value:
    """Return channels in another order, or what moves between channels and places."""
    moves, shape = Moves(lowering, node, x), lowering.shape(node)
    if len(moves.shape) != 3:
        refuse(node, f"of {len(moves.shape) + 1} axes, four allowed")
    channels, height, width = moves.shape
    if isinstance(layer, nn.ChannelShuffle):
        groups = int(layer.groups)
        split, order = (groups, channels // groups, height, width), (1, 0, 2, 3)
        return moves.reshape(split).permute(order).reshape(shape).value
    if isinstance(layer, nn.PixelShuffle):
        by = layer.upscale_factor
        parts = (channels // by**2, by, by, height, width)
        return moves.reshape(parts).permute((0, 3, 1, 4, 2)).reshape(shape).value
    assert isinstance(layer, nn.PixelUnshuffle)
    by = layer.downscale_factor
    parts = (channels, height // by, by, width // by, by)
    return moves.reshape(parts).permute((0, 2, 4, 1, 3)).reshape(shape).value


def lower_upsample(lowering: Lowering, node: fx.Node, layer: nn.Module, x: Value) -> Value:
    """Return each element several times, as `nearest` has it."""
    moves, sizes = Moves(lowering, node, x), lowering.shape(node)
    given = moves.shape
    if any(new % old for new, old in zip(sizes, given, strict=True)):
        refuse(node, f"from {list(given[1:])} to {list(sizes[1:])}, whole factors allowed")
    for axis in range(1, len(given)):
        moves.stretch(axis, sizes[axis] // given[axis])
    return moves.value


def lower_concat(
    lowering: Lowering, node: fx.Node, layer: Concat | Stack, inputs: Sequence[Any]
) -> Value:
    """Return values, and tensors that depend on no input, one after the other on one grid."""
    grid = lowering.grid_for(node)
    values = lowering.costly_first([x for x in inputs if isinstance(x, Value)])
    made = {x: _codes(lowering, node, x, grid) for x in values}
    if not made:
        refuse(node, "of constants alone; one tensor that depends on the input needed")
    first = next(iter(made.values()))
    codes = [
        made[x] if x in made else _codes(lowering, node, _constant(lowering, node, x, first), grid)
        for x in inputs
    ]
    axis = _axis(node, layer.dim)
    if isinstance(layer, Stack):
        codes = [_with_axis(lowering, node, x, axis) for x in codes]
    tensor = lowering.builder.emit(
        Concatenate(
            inputs=tuple(value.terms[0].tensor for value in codes),
            output=lowering.builder.name(node.name),
            layer=origin(node),
            axis=axis,
        )
    )
    return codes_of(tensor, grid, lowering.shape(node), origin(node))


def _codes(lowering: Lowering, node: fx.Node, value: Value, grid: Grid) -> Value:
    return lowering.builder.quantize(value, grid, f"{node.name}_{value.node}_codes")


def _constant(lowering: Lowering, node: fx.Node, constant: Tensor, like: Value) -> Value:
    """Return a tensor that depends on no input as a value: nothing times the integers of another,
    plus its elements."""
    reals = of_one_sample(node, finite(constant, f"a constant of '{node.name}'"), len(like.shape))
    moves = Moves(lowering, node, like)
    for axis in range(len(moves.shape)):
        moves.slice(axis, 0, 1)
    zeros = moves.grow(reals.shape).value
    return zeros.affine(np.array(0.0), reals, "constant")


def lower_function(
    lowering: Lowering, node: fx.Node, args: Sequence[Any], kwargs: dict[str, Any]
) -> Value | tuple[Value, ...]:
    """Return what a function or method of FUNCTIONS makes of a value.

    args, kwargs: of the call; a value in place of each tensor that depends on the input.
    """
    x = args[0] if args else kwargs.get("input", kwargs.get("self"))
    if isinstance(x, tuple):
        return _item(node, x, args[1])
    if not isinstance(x, Value):
        refuse(node, "what it is made of has no integer operation")
    if node.target in _SAME:
        return _same(node, x)
    if node.target in _RESHAPES:
        return _reshaped(lowering, node, x)
    if node.target in _REPEATS:
        return _repeated(lowering, node, x)
    if node.target in _EXPANSIONS and _is_expanded_later(lowering, node):
        return x
    views = views_of((2, *x.shape), _call_on(node, args, kwargs))
    if views is None:
        refuse(node, "not a slice, a new axis, another order of axes or a split, which are allowed")
    moved = tuple(_seen(lowering, node, x, view) for view in views)
    is_several = isinstance(node.meta["shape"][0], tuple)
    return moved if is_several else moved[0]


def _reshaped(lowering: Lowering, node: fx.Node, x: Value) -> Value:
    if not lowering.has_batch(node):
        refuse(node, "it mixes samples of a batch")
    return Moves(lowering, node, x).reshape(lowering.shape(node)).value


def _repeated(lowering: Lowering, node: fx.Node, x: Value) -> Value:
    """Return the value behind itself along each axis, as often as its size grows."""
    if not lowering.has_batch(node):
        refuse(node, "it repeats the batch")
    return Moves(lowering, node, x).grow(lowering.shape(node)).value


def _item(node: fx.Node, values: tuple[Value, ...], index: Any) -> Value | tuple[Value, ...]:
    """Return what an index chooses of several values."""
    source = node.args[0]
    if isinstance(source, fx.Node) and source.target in WITH_PLACES:
        if index in (0, "values"):
            return values[0]
        if not node.users:
            return ()
        refuse(node, "the places of the largest elements; their values allowed")
    if node.target is operator.getitem and isinstance(index, int | slice):
        return values[index]
    return refuse(node, "of several tensors, an index or a slice allowed")


def _same(node: fx.Node, x: Value) -> Value:
    kind = node.meta["dtype"]
    if not kind.is_floating_point:
        refuse(node, f"it makes {kind}; a floating-point type allowed")
    return x


def _call_on(node: fx.Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Callable[[Tensor], Any]:
    """Return the node's call as a function of its first tensor."""

    def call(probe: Tensor) -> Any:
        def of(argument: Any) -> Any:
            return torch.empty(2, *argument.shape) if isinstance(argument, Value) else argument

        others = [of(argument) for argument in args[1:]]
        named = {k: of(v) for k, v in kwargs.items() if args or k not in ("input", "self")}
        if isinstance(node.target, str):
            return getattr(probe, node.target)(*others, **named)
        assert callable(node.target)
        return node.target(probe, *others, **named)

    return call


def _seen(lowering: Lowering, node: fx.Node, x: Value, view: View) -> Value:
    """Return what a view shows of a value."""
    if view.starts[0] or view.counts[0] != 2 or view.axes[0] != 0:
        refuse(node, "it moves or cuts the batch, which stays first and whole")
    moves = Moves(lowering, node, x)
    for axis, (start, count, step) in enumerate(
        zip(view.starts[1:], view.counts[1:], view.steps[1:], strict=True)
    ):
        moves.slice(axis, start, start + (count - 1) * step + 1, step)
    shown = [axis - 1 for axis in view.axes[1:] if axis is not None]
    rest = [axis for axis in range(len(moves.shape)) if axis not in shown]
    kept = [size // times for size, times in zip(view.shape, view.repeats, strict=True)]
    moves.permute(_in_order(shown, rest, moves.shape)).reshape(kept[1:])
    for axis, times in enumerate(view.repeats[1:]):
        moves.repeat(axis, times)
    return moves.value


def _in_order(shown: list[int], rest: list[int], shape: tuple[int, ...]) -> list[int]:
    """Return the order of all axes in which those that are shown follow one another; the rest, of
    one element each, stay where they are if that order is the same."""
    if shown == sorted(shown):
        return list(range(len(shape)))
    return [*shown, *rest]


def _is_expanded_later(lowering: Lowering, node: fx.Node) -> bool:
    """Return whether all that read an expanded tensor broadcast it by themselves."""
    return all(_broadcasts(lowering, user, node) for user in node.users)


def _broadcasts(lowering: Lowering, user: fx.Node, node: fx.Node) -> bool:
    if user.op != "call_module" or not isinstance(lowering.module(user), Add | Multiply | Subtract):
        return False
    others = [source for source in user.all_input_nodes if source is not node]
    return bool(others) and all(
        other.target not in _EXPANSIONS and other.meta["shape"] == node.meta["shape"]
        for other in others
    )


def _with_axis(lowering: Lowering, node: fx.Node, x: Value, axis: int) -> Value:
    return Moves(lowering, node, x).reshape((*x.shape[:axis], 1, *x.shape[axis:])).value


def _axis(node: fx.Node, dim: int) -> int:
    """Return an axis of a node's tensor, counted without the batch."""
    axes = len(node.meta["shape"])
    if dim % axes == 0:
        refuse(node, "along the batch, another axis allowed")
    return dim % axes - 1
