"""The largest elements along axes."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import fx

from quantlab.integer.lower.lowering import Lowering, refuse
from quantlab.integer.lower.moves import Moves
from quantlab.integer.lower.value import Value, codes_of
from quantlab.integer.operations import MaxPool, Windows

_aten = torch.ops.aten
# These give the places of the largest too, as the second of two.
WITH_PLACES = frozenset(("max", torch.max, _aten.max.dim))
MAXIMA = frozenset(("amax", torch.amax, _aten.amax.default, *WITH_PLACES))


def is_maximum(node: fx.Node) -> bool:
    """Return whether a node gives the largest elements along axes."""
    return node.target in MAXIMA and isinstance(_dim(node.args, node.kwargs), int | list | tuple)


def lower_maxima(
    lowering: Lowering, node: fx.Node, args: Sequence[Any], kwargs: dict[str, Any]
) -> Value | tuple[Value, ...]:
    """Return the largest codes along axes but the batch; of WITH_PLACES as the first of two, the
    second of which is not known.

    args, kwargs: of the call; a value in place of each tensor that depends on the input.
    """
    x, dim = args[0] if args else kwargs["input"], _dim(args, kwargs)
    assert isinstance(x, Value)
    num_axes = len(x.shape)
    dims = [dim] if isinstance(dim, int) else dim
    axes = sorted({axis % (num_axes + 1) - 1 for axis in dims})
    if not axes or axes[0] < 0:
        return refuse(node, "over the batch, other axes allowed")
    largest = _largest(lowering, node, x, axes)
    return (largest,) if node.target in WITH_PLACES else largest


def _dim(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    return args[1] if len(args) > 1 else kwargs.get("dim", kwargs.get("axis"))


def _largest(lowering: Lowering, node: fx.Node, x: Value, axes: list[int]) -> Value:
    codes = lowering.codes(x, lowering.source(node), may_be_wide=True)
    kept = [axis for axis in range(len(codes.shape)) if axis not in axes]
    rows, count = (math.prod(codes.shape[axis] for axis in part) for part in (kept, axes))
    moves = Moves(lowering, node, codes).permute([*kept, *axes]).reshape((rows, 1, count))
    pooled = lowering.builder.emit(
        MaxPool(
            inputs=(moves.tensor,),
            output=lowering.builder.name(f"{node.name}_largest"),
            layer=node.name,
            windows=Windows(kernel=(1, count)),
        )
    )
    assert codes.grid is not None
    flat = codes_of(pooled, codes.grid, (rows, 1, 1), node.name)
    shape = node.meta["shape"]
    sizes = shape[0] if isinstance(shape[0], tuple) else shape
    return Moves(lowering, node, flat).reshape(sizes[1:]).value
