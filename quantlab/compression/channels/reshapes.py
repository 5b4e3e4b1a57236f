"""Which reshapes keep channels where they are, and what of them counts channels."""

from dataclasses import dataclass
from typing import Any

from torch import fx, nn

from quantlab.graphs.paths import module_of
from quantlab.graphs.shapes import shape_of


@dataclass(frozen=True, kw_only=True)
class Reshape:
    """is_flat: whether all axes from that of the channels on become one; otherwise the channels
    stay, and only axes behind them come or go. is_counted: whether an argument is the number of
    channels, which has to change with it."""

    is_flat: bool
    is_counted: bool = False


def kept_axes(
    gm: fx.GraphModule, node: fx.Node, before: tuple[int, ...], axis: int
) -> Reshape | None:
    """Return what a reshape does with channels along an axis; None if they do not stay whole.

    before: the shape of its input.
    """
    module, after = module_of(gm, node), shape_of(node)
    if after is None:
        return None
    if isinstance(module, nn.Flatten):
        first, last = module.start_dim % len(before), module.end_dim % len(before)
        if first == axis and last == len(before) - 1:
            return Reshape(is_flat=True)
        return Reshape(is_flat=False) if first > axis else None
    match getattr(node.target, "__name__", node.target):
        case "contiguous":
            return Reshape(is_flat=False)
        case "view" | "reshape":
            return _of_view(node, before, after, axis)
        case "squeeze" | "unsqueeze" as name:
            (dim,) = _sizes(node) if len(_sizes(node)) == 1 and not node.kwargs else (None,)
            length = len(before) + (name == "unsqueeze")
            is_behind = isinstance(dim, int) and dim % length > axis
            return Reshape(is_flat=False) if is_behind else None
        case "getitem":
            return _of_index(node, axis)
        case _:
            return None


def resize(node: fx.Node, count: int) -> None:
    """Change the number of channels that a reshape's arguments name."""
    sizes = list(_sizes(node))
    sizes[1] = count
    is_listed = len(node.args) == 2 and isinstance(node.args[1], tuple | list)
    node.args = (node.args[0], tuple(sizes)) if is_listed else (node.args[0], *sizes)


def _of_view(
    node: fx.Node, before: tuple[int, ...], after: tuple[int, ...], axis: int
) -> Reshape | None:
    """`view(n, -1)` and `view(-1, count)`: of the first axis anything, of the second no node."""
    sizes = _sizes(node)
    if node.kwargs or axis != 1 or len(sizes) != 2 or len(after) != 2 or after[0] != before[0]:
        return None
    if not isinstance(sizes[1], int):
        return None
    return Reshape(is_flat=True, is_counted=sizes[1] != -1)


def _of_index(node: fx.Node, axis: int) -> Reshape | None:
    """`x[:, :, None, None]`: all up to the channels, then new axes."""
    items = node.args[1]
    if not isinstance(items, tuple):
        return None
    front, behind = items[: axis + 1], items[axis + 1 :]
    is_whole = len(front) == axis + 1 and all(item == slice(None) for item in front)
    is_new = all(item is None or item == slice(None) for item in behind)
    return Reshape(is_flat=False) if is_whole and is_new else None


def _sizes(node: fx.Node) -> tuple[Any, ...]:
    first, *others = node.args[1:] or ((),)
    return tuple(first) if isinstance(first, tuple | list) else (first, *others)
