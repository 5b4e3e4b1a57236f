"""What moves elements and changes none: a tensor's places are moved, by torch itself."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from quantlab.floats.functions import Function
from quantlab.floats.layout import View, places_of
from quantlab.floats.lower.pads import put, spread
from quantlab.floats.lower.state import State, Values, check_number
from quantlab.graphs.operations import Concat, Pad, Stack
from quantlab.integer.lower.constants import of_one_sample
from quantlab.integer.lower.finite import finite
from quantlab.integer.lower.lowering import refuse
from quantlab.integer.lower.rearranging import FUNCTIONS as _REARRANGING

_aten = torch.ops.aten
FUNCTIONS = frozenset(
    (
        *_REARRANGING,
        *("flip", "roll", "repeat_interleave", torch.flip, torch.roll, torch.repeat_interleave),
        *(torch.tile, "tile", _aten.flip.default, _aten.roll.default),
    )
)
MOVING = (
    nn.Flatten, nn.Unflatten, nn.PixelShuffle, nn.PixelUnshuffle, nn.ChannelShuffle,
    nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReplicationPad1d, nn.ReplicationPad2d,
    nn.CircularPad1d, nn.CircularPad2d, nn.Upsample,
)  # fmt: skip
PADS = (nn.ConstantPad1d, nn.ConstantPad2d, nn.ZeroPad1d, nn.ZeroPad2d)


def lower_function(
    state: State, node: fx.Node, args: Sequence[Any], kwargs: dict[str, Any]
) -> Values:
    """Return what a function or method of FUNCTIONS shows of a value."""
    x = args[0] if args else kwargs.get("input", kwargs.get("self"))
    if isinstance(x, tuple):
        picked: Values = x[args[1]]
        return picked
    if not isinstance(x, View):
        return refuse(node, "what it is made of has no form in C of floats")

    def call(given: Tensor) -> Any:
        def of(argument: Any) -> Any:
            return given if isinstance(argument, View) else argument

        others, named = [of(one) for one in args], {k: of(v) for k, v in kwargs.items()}
        if isinstance(node.target, str):
            return getattr(others[0], node.target)(*others[1:], **named)
        assert callable(node.target)
        return node.target(*others, **named)

    return _moved(node, x, call)


def lower_moving(state: State, node: fx.Node, layer: nn.Module, x: View) -> View:
    """Return what a module that only moves elements shows of a tensor."""
    if isinstance(layer, nn.Upsample) and layer.mode not in ("nearest", "nearest-exact"):
        refuse(node, f"mode '{layer.mode}', 'nearest' allowed")
    moved = _moved(node, x, layer)
    assert isinstance(moved, View)
    return moved


def _moved(node: fx.Node, x: View, call: Any) -> Values:
    """Return what a function shows of a tensor. It is called on a batch of two that has the numbers
    of the places, exact in floats; those of the second sample are negative."""
    first = torch.from_numpy(x.places.astype(np.float64))
    result = call(torch.stack([first, -1 - first]))
    parts = list(result) if isinstance(result, list | tuple) else [result]
    views = tuple(_view(node, x, part) for part in parts)
    return views if isinstance(result, list | tuple) else views[0]


def _view(node: fx.Node, x: View, part: Tensor) -> View:
    if part.dtype not in (torch.float32, torch.float64):
        refuse(node, f"it makes {part.dtype}; torch.float32 allowed")
    numbers = part.double().numpy()
    is_whole = len(numbers) == 2 and (numbers[1] == -1 - numbers[0]).all()
    if not is_whole or (numbers[0] < 0).any():
        refuse(node, "it moves or cuts the batch, which stays first and whole")
    return View(x.array, numbers[0].astype(np.intp))


def lower_concat(state: State, node: fx.Node, layer: nn.Module, inputs: Sequence[Any]) -> View:
    """Return tensors one after the other; some may depend on no input."""
    assert isinstance(layer, Concat | Stack)
    shape = tuple(node.meta["shape"][1:])
    axis = layer.dim % (len(shape) + 1) - 1
    if axis < 0:
        refuse(node, "along the batch, another axis allowed")
    first = next((x for x in inputs if isinstance(x, View)), None)
    if first is None:
        return refuse(node, "of constants alone; one tensor that depends on the input needed")
    to = View(state.new(node, int(np.prod(shape))), places_of(shape))
    begin = 0
    for given in inputs:
        part = given if isinstance(given, View) else _constant(state, node, given, first)
        if isinstance(layer, Stack):
            part = View(part.array, np.expand_dims(part.places, axis))
        end = begin + part.shape[axis]
        behind = (slice(None),) * axis + (slice(begin, end),)
        put(state, node, part, View(to.array, to.places[behind]))
        begin = end
    return to


def _constant(state: State, node: fx.Node, tensor: Tensor, like: View) -> View:
    """Return a tensor that depends on no input in an array: its numbers, chosen for any others."""
    reals = of_one_sample(node, finite(tensor, f"a constant of '{node.name}'"), len(like.shape))
    anything = View(like.array, np.zeros((1,) * reals.ndim, np.intp))
    return state.elementwise(node, Function("second"), anything, reals)


def lower_pad(state: State, node: fx.Node, layer: nn.Module, x: View) -> View:
    """Return the tensor with one number around it, or with less at its ends."""
    if isinstance(layer, Pad) and layer.mode != "constant":
        return lower_moving(state, node, layer, x)
    given: Any = layer.pad if isinstance(layer, Pad) else layer.padding
    ends = [(int(given[i]), int(given[i + 1])) for i in range(0, len(given), 2)]
    if any(map(any, ends[len(x.shape) :])):
        refuse(node, "it pads the batch")
    ends = [*ends[: len(x.shape)], *[(0, 0)] * (len(x.shape) - len(ends))][::-1]
    number = float(getattr(layer, "value", None) or 0.0)
    check_number(node, number)
    cut = tuple(
        slice(max(0, -before), size - max(0, -after))
        for (before, after), size in zip(ends, x.shape, strict=True)
    )
    x = View(x.array, x.places[cut])
    added = [(max(0, before), max(0, after)) for before, after in ends]
    if not any(map(any, added)):
        return x
    shape = [size + sum(pair) for size, pair in zip(x.shape, added, strict=True)]
    starts = [before for before, _ in added]
    return spread(state, node, x, shape, starts, [1] * len(shape), number)
