"""Snapshots: what it takes to put a network back exactly as it was.

A snapshot holds of each module the class and all attributes by reference, and what is in the dicts,
lists and sets among them (such as the tables of hooks), to be put back within the same objects,
since others may refer to them; of the graph a copy; and, of tensors that an edit really changed,
clones.
"""

import copy
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

_TABLES = (dict, OrderedDict, list, set)


@dataclass(frozen=True, eq=False)
class _Structure:
    """Classes and attributes of all modules, and the content of the tables among them."""

    classes: dict[nn.Module, type[nn.Module]]
    attributes: dict[nn.Module, dict[str, Any]]
    tables: list[tuple[Any, Any]]

    def restore(self) -> None:
        for module, cls in self.classes.items():
            if type(module) is not cls:
                module.__class__ = cls
        for module, attributes in self.attributes.items():
            vars(module).clear()
            vars(module).update(attributes)
        for table, content in self.tables:
            table.clear()
            table.extend(content) if isinstance(table, list) else table.update(content)


class Snapshot:
    """A network's state, to return to."""

    def __init__(self, gm: fx.GraphModule) -> None:
        self._gm = gm
        self._structure = _structure(gm)
        self._graph: fx.Graph = copy.deepcopy(gm.graph)
        self.tensors = {tensor: tensor.detach().clone() for tensor in tensors_of(gm)}
        self._needs_grad = {tensor: tensor.requires_grad for tensor in self.tensors}

    def forget_unchanged(self) -> None:
        """Keep the clones only of tensors whose values are not, bit by bit, what they were."""
        self.tensors = {t: clone for t, clone in self.tensors.items() if not same_bits(t, clone)}
        changed = {t: n for t, n in self._needs_grad.items() if t.requires_grad != n}
        self._needs_grad = changed

    def swap(self) -> None:
        """Put the network back, and hold what it was until now instead."""
        structure, graph = _structure(self._gm), self._gm.graph
        values = {tensor: tensor.detach().clone() for tensor in self.tensors}
        needs_grad = {tensor: tensor.requires_grad for tensor in self._needs_grad}
        self._structure.restore()
        for tensor, clone in self.tensors.items():
            _put(tensor, clone)
        for tensor, is_needed in self._needs_grad.items():
            tensor.requires_grad_(is_needed)
        self._gm.graph = self._graph
        self._structure, self._graph = structure, graph
        self.tensors, self._needs_grad = values, needs_grad


def tensors_of(network: nn.Module) -> list[Tensor]:
    """Return the parameters, buffers and plain attributes that are tensors, each once."""
    found: dict[Tensor, None] = {}
    for module in network.modules():
        tables = (module._parameters, module._buffers, vars(module))
        found.update({v: None for table in tables for v in table.values() if isinstance(v, Tensor)})
    return list(found)


def same_bits(a: Tensor, b: Tensor) -> bool:
    """Return whether two tensors have the same type, shape and bits: a NaN equals itself here, and
    0 does not equal -0."""
    if a.dtype != b.dtype or a.shape != b.shape or a.device != b.device:
        return False
    return torch.equal(_bytes(a), _bytes(b))


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.detach().reshape(-1).view(torch.uint8)


def _put(tensor: Tensor, value: Tensor) -> None:
    """Make the values of a tensor those of another; it stays the object that it is."""
    with torch.no_grad():
        if tensor.shape == value.shape and tensor.dtype == value.dtype:
            tensor.copy_(value)
        else:
            tensor.data = value


def _structure(gm: fx.GraphModule) -> _Structure:
    modules = list(gm.modules())
    tables: list[tuple[Any, Any]] = []
    seen: set[int] = set()
    for module in modules:
        for value in vars(module).values():
            _note_tables(value, tables, seen)
    return _Structure(
        classes={module: type(module) for module in modules},
        attributes={module: dict(vars(module)) for module in modules},
        tables=tables,
    )


def _note_tables(value: Any, tables: list[tuple[Any, Any]], seen: set[int]) -> None:
    """Note the content of a table, and of those in it."""
    if type(value) is tuple:
        for part in value:
            _note_tables(part, tables, seen)
    if type(value) not in _TABLES or id(value) in seen:
        return
    seen.add(id(value))
    tables.append((value, copy.copy(value)))
    for part in value.values() if isinstance(value, dict) else value:
        _note_tables(part, tables, seen)
