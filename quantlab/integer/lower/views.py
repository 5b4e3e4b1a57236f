"""Views: which elements of a tensor a function of torch shows, asked of torch itself.

The function is called on a tensor whose strides tell its axes apart, so that the strides and the
offset of the result say where each of its axes comes from. Whatever spelling of the arguments torch
takes is understood.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class View:
    """Of each axis of the input the elements from `starts`, so many as `counts`, each `steps`-th.

    shape: of the result. axes: for each axis of the result that of the input, None for one that is
    new or has one element. repeats: how often the only element of each axis is there.
    """

    starts: tuple[int, ...]
    counts: tuple[int, ...]
    steps: tuple[int, ...]
    shape: tuple[int, ...]
    axes: tuple[int | None, ...]
    repeats: tuple[int, ...]


def views_of(shape: Sequence[int], call: Callable[[Tensor], Any]) -> list[View] | None:
    """Return the views that a function gives of a tensor of a shape, one or several; None if it
    gives something else, an empty tensor too."""
    strides, reach = [0] * len(shape), 1
    for axis in reversed(range(len(shape))):
        strides[axis], reach = reach, reach * (shape[axis] + 1)
    probe = torch.empty_strided(shape, strides, dtype=torch.int8)
    result = call(probe)
    parts = list(result) if isinstance(result, list | tuple) else [result]
    views = [_view(probe, part) for part in parts]
    return [view for view in views if view is not None] if all(views) else None


def _view(probe: Tensor, part: Any) -> View | None:
    if not isinstance(part, Tensor) or part.numel() == 0 or part.dtype != probe.dtype:
        return None
    if part.untyped_storage().data_ptr() != probe.untyped_storage().data_ptr():
        return None
    strides, rest = probe.stride(), int(part.storage_offset())
    starts, counts, steps = [], [1] * probe.ndim, [1] * probe.ndim
    for stride in strides:
        start, rest = divmod(rest, stride)
        starts.append(start)
    axes: list[int | None] = []
    repeats = []
    for size, stride in zip(part.shape, part.stride(), strict=True):
        is_same = size == 1 or stride == 0
        axis = None if is_same else next(i for i, own in enumerate(strides) if own <= stride)
        axes.append(axis)
        repeats.append(size if stride == 0 else 1)
        if axis is not None:
            steps[axis], rest = divmod(stride, strides[axis])
            if rest or counts[axis] > 1:
                return None
            counts[axis] = size
    return View(
        starts=tuple(starts),
        counts=tuple(counts),
        steps=tuple(steps),
        shape=tuple(part.shape),
        axes=tuple(axes),
        repeats=tuple(repeats),
    )
