"""Operations of float programs as plain data for JSON, and their numbers as named tensors.

An operation, or a part of one, is `{class: values of its fields}`; integers in an array are places,
`{"places": ...}`, see `places`; floats in an array are `{"tensor": name}`.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.floats.functions import FUNCTIONS, Function
from quantlab.floats.operations import (
    Elementwise,
    Fill,
    Operation,
    Pool,
    Pooled,
    Product,
    Reduce,
    Softmax,
)
from quantlab.integer.operations import Windows
from quantlab.packs import places

OPERATIONS = (Elementwise, Fill, Pool, Product, Reduce, Softmax)
_CLASSES = {cls.__name__: cls for cls in (*OPERATIONS, Function, Pooled, Windows)}
Tensors = Mapping[str, NDArray[Any]]


def to_plain(value: Any, tensor: Callable[[NDArray[Any], str], str], field: str = "") -> Any:
    """Return a value as plain data. tensor: takes the floats of a field and returns their name."""
    if type(value) in _CLASSES.values():
        given = {f.name: getattr(value, f.name) for f in fields(value)}
        name = type(value).__name__
        return {name: [to_plain(part, tensor, field) for field, part in given.items()]}
    if isinstance(value, np.ndarray):
        if np.issubdtype(value.dtype, np.integer):
            return {"places": places.to_plain(value)}
        return {"tensor": tensor(value, field)}
    if isinstance(value, tuple | list):
        return [to_plain(part, tensor, field) for part in value]
    return value.item() if isinstance(value, np.generic) else value


def from_plain(plain: Any, tensors: Tensors, most: int) -> Any:
    """Return the value of plain data. most: places that an operation may have. Raises KeyError,
    TypeError or ValueError for others."""
    if isinstance(plain, list):
        return tuple(from_plain(part, tensors, most) for part in plain)
    if not isinstance(plain, dict):
        return plain
    ((kind, given),) = plain.items()
    if kind == "places":
        return places.from_plain(given, most)
    if kind == "tensor":
        found = tensors[given]
        return found.astype(np.float32) if found.dtype == np.float16 else found
    cls = _CLASSES[kind]
    names = [field.name for field in fields(cls)]
    values = {
        name: from_plain(part, tensors, most) for name, part in zip(names, given, strict=True)
    }
    return cls(**values)


def operation_from(plain: Any, tensors: Tensors, most: int) -> Operation:
    """Return an operation of plain data. Raises as `from_plain`."""
    operation = from_plain(plain, tensors, most)
    if not isinstance(operation, Operation):
        raise TypeError(f"a {type(operation).__name__} for an operation")
    function = getattr(operation, "function", None)
    if function is not None and function.name not in FUNCTIONS:
        raise ValueError(f"function '{function.name}'")
    return operation
