"""Sees whether what a recorded step took for granted is still so.

A recorded step repeats the same operations on the same addresses: it knows nothing of a Python
attribute that has changed since, or of a tensor that has been replaced. Tensors that are written in
place need no watching. Of objects that are no modules, only those of our own packages and of
problems are looked into.
"""

import random
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from itertools import count
from operator import is_
from types import SimpleNamespace
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from experiments.training.assembly import Assembly

_PACKAGES = ("quantlab.", "experiments.", "problems.")
_DEPTH = 8
_MOST_BYTES = 2**16  # of an array that is looked into
_SETTINGS = "__dataclass_params__"  # of a dataclass
_RATES = ("params", "lr", "initial_lr")  # of a group; rates are tensors in a recorded step
_PLAIN = (bool, int, float, str, bytes, type(None))


class Watch:
    """Looks at networks, losses, teachers, optimizers and averages."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._parts: list[_Part] = []
        self._others: dict[str, object] = {}

    def look(self) -> str | None:
        """Return the name of something that has changed since the last look, None if nothing
        has."""
        changed = self._changed_part()
        before, self._others = self._others, dict(_others(self._assembly))
        if changed is None and self._others != before:
            names = [*self._others, *before]
            changed = next(n for n in names if self._others.get(n, self) != before.get(n, self))
        return changed

    def _changed_part(self) -> str | None:
        found = [part.changed() for part in self._parts] or ["network"]
        changed = next((name for name in found if name is not None), None)
        if changed is not None:
            roots = [("network", self._assembly.network), ("loss", self._assembly.loss)]
            teacher = self._assembly.objective.teacher
            if teacher is not None:
                roots.append(("teacher", teacher.network))
            self._parts = [
                _Part(f"{root}.{path}" if path else root, part)
                for root, module in roots
                for path, part in module.named_modules()
            ]
        return changed


class _Part:
    """A module and what it held. What is the same object has not changed, but for what is in it;
    the objects are kept, so that no other takes the place of one."""

    def __init__(self, path: str, module: nn.Module) -> None:
        self._path, self._module = path, module
        self._unseen = getattr(module, "attributes_without_effect", ())
        self._take(self._marks())

    def changed(self) -> str | None:
        """Return the name of an attribute that has another value than at the last call."""
        values = vars(self._module).values()
        is_same = (
            len(values) == len(self._values)
            and all(map(is_, self._values, values))
            and self._sizes == [len(inside) for inside in self._containers]
            and all(map(is_, self._inside, self._all_inside()))
            and self._addresses == [_address(tensor) for tensor in self._tensors]
            and all(self._seen[name] == _mark(value, _DEPTH) for name, value in self._others)
        )
        if is_same:
            return None
        marks, before = self._marks(), self._seen
        if marks != before:
            names = [*marks, *before]
            name = next(n for n in names if marks.get(n, self) != before.get(n, self))
            return f"{self._path}.{name}"
        self._take(marks)
        return None

    def _take(self, marks: dict[str, object]) -> None:
        module = self._module
        self._seen = marks
        self._values = list(vars(module).values())
        self._containers = [value for value in self._values if isinstance(value, Mapping | list)]
        self._sizes = [len(inside) for inside in self._containers]
        self._inside = list(self._all_inside())
        tensors = [*self._inside, *self._values]
        self._tensors = [value for value in tensors if isinstance(value, Tensor)]
        self._addresses = [_address(tensor) for tensor in self._tensors]
        self._others = [
            (name, value)
            for name, value in vars(module).items()
            if not (_is_immutable(value) or name in _OF_TORCH or name in self._unseen)
        ]

    def _all_inside(self) -> Iterator[object]:
        module = self._module
        yield from module._parameters.values()
        yield from module._buffers.values()
        yield from module._modules.values()

    def _marks(self) -> dict[str, object]:
        values = vars(self._module).items()
        return {name: _mark(one, _DEPTH) for name, one in values if name not in self._unseen}


_OF_TORCH = frozenset(vars(nn.Module()))
"""The attributes of every module: containers of tensors, modules and hooks."""


def _others(assembly: Assembly) -> Iterator[tuple[str, object]]:
    for index, group in enumerate(assembly.optimizer.param_groups):
        for name, value in group.items():
            if name not in _RATES:
                yield f"optimizer: {name} of group {index}", _mark(value, _DEPTH)
    for index, state in enumerate(assembly.optimizer.state.values()):
        for name, value in state.items():
            yield f"optimizer: {name} of parameter {index}", _mark(value, _DEPTH)
    if assembly.ema is not None:
        for name, value in assembly.ema.state_dict().items():
            yield f"average of {name}", _mark(value, _DEPTH)


def _is_immutable(value: Any) -> bool:
    """Return whether a value is the same as long as it is the same object, tensors' addresses
    apart."""
    if isinstance(value, tuple | frozenset):
        return all(map(_is_immutable, value))
    if is_dataclass(value) and not isinstance(value, type):
        return getattr(value, _SETTINGS).frozen and all(map(_is_immutable, vars(value).values()))
    return isinstance(value, (*_PLAIN, Tensor, type))


def _address(tensor: Tensor) -> tuple[int, bool]:
    return 0 if is_lazy(tensor) else tensor.data_ptr(), tensor.requires_grad


def _mark(value: Any, depth: int) -> object:
    """Return what is equal as long as a value stays as it is."""
    if isinstance(value, float):
        return repr(value)  # no number is not equal to itself
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, Tensor):
        layout = () if is_lazy(value) else (value.shape, value.stride())
        return (_address(value), *layout, value.dtype)
    if isinstance(value, bytearray | count | np.random.Generator | random.Random | np.ndarray):
        return (id(value), _content(value))
    if depth == 0 or isinstance(value, nn.Module):
        return id(value)
    if isinstance(value, list | tuple | set | frozenset | deque):
        return tuple(_mark(one, depth - 1) for one in value)
    if isinstance(value, Mapping):
        return tuple((_mark(k, depth - 1), _mark(v, depth - 1)) for k, v in value.items())
    is_known = type(value).__module__.startswith(_PACKAGES) or isinstance(value, SimpleNamespace)
    if is_known and hasattr(value, "__dict__"):
        marks = tuple((name, _mark(one, depth - 1)) for name, one in vars(value).items())
        return (id(value), marks)
    return id(value)


def _content(value: Any) -> object:
    """Return what is in an object that changes in place."""
    if isinstance(value, np.random.Generator):
        return repr(value.bit_generator.state)
    if isinstance(value, random.Random):
        return value.getstate()
    if isinstance(value, np.ndarray):
        return value.tobytes() if value.nbytes <= _MOST_BYTES else None
    return bytes(value) if isinstance(value, bytearray) else repr(value)
