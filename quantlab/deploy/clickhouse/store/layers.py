"""A program as rows: operations without names, and their constants as planes and numbers."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.errors import VerificationError
from quantlab.integer.operations import OPERATIONS, Operation, Windows
from quantlab.integer.tensor_type import IntegerType, type_named

Rows = Mapping[str, list[Any]]  # of a table: columns by name
_NAMES = ("inputs", "output", "layer")  # of an operation: these are the model's, not the layer's
_WIDTH = 64


@dataclass(frozen=True, kw_only=True)
class Layer:
    """An operation as the store has it. key: its hash. operation: JSON. planes, numbers: the rows
    of its constants, without the column `layer`."""

    key: str
    operation: str
    planes: Rows
    numbers: Rows


def layer_of(operation: Operation) -> Layer:
    """Return the rows of an operation. Operations that differ in names alone have equal ones."""
    constants = operation.constants()
    plain: dict[str, Any] = {"operation": type(operation).__name__, "constants": {}}
    for name, values in constants.items():
        plain["constants"][name] = {
            "dtype": values.dtype.name,
            "shape": list(values.shape),
            "num_bits": operation.num_bits(name),
        }
    for field in fields(operation):
        if field.name not in constants and field.name not in _NAMES:
            plain[field.name] = _plain(getattr(operation, field.name))
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode())
    planes: dict[str, list[Any]] = {n: [] for n in ("constant", "neuron", "plane", "kept", "words")}
    numbers: dict[str, list[Any]] = {name: [] for name in ("constant", "place", "integers")}
    for name, values in sorted(constants.items()):
        digest.update(values.astype(values.dtype.newbyteorder("<")).tobytes())
        num_bits = operation.num_bits(name)
        if num_bits is None:
            _add_numbers(numbers, name, values)
        else:
            _add_planes(planes, name, values, num_bits)
    return Layer(key=digest.hexdigest(), operation=text, planes=planes, numbers=numbers)


def operation_of(layer: Layer, *, inputs: tuple[str, ...], output: str, path: str) -> Operation:
    """Return the operation of rows, which may come in any order and repeat.

    Raises VerificationError, with the layer, unless its hash is that of the rows.
    """
    try:
        operation = _operation(layer, inputs, output, path)
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise VerificationError(
            f"layer {layer.key[:16]} ('{output}'): its rows are damaged: {error}; "
            "remove the model and load it anew"
        ) from error
    found = layer_of(operation).key
    if found != layer.key:
        raise VerificationError(
            f"layer {layer.key[:16]} ('{output}'): its rows have the hash {found[:16]}; "
            "remove the model and load it anew"
        )
    return operation


def _operation(layer: Layer, inputs: tuple[str, ...], output: str, path: str) -> Operation:
    plain = json.loads(layer.operation)
    cls = OPERATIONS[plain.pop("operation")]
    values: dict[str, Any] = {"inputs": inputs, "output": output, "layer": path}
    for name, given in plain.pop("constants").items():
        make = _from_numbers if given["num_bits"] is None else _from_planes
        values[name] = make(layer, name, given)
    for name, value in plain.items():
        values[name] = _value(name, value)
    return cls(**values)


def _plain(value: Any) -> Any:
    if isinstance(value, Windows):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return value.name if isinstance(value, IntegerType) else value


def _value(name: str, plain: Any) -> Any:
    if name == "windows":
        return Windows(**{part: _tuples(value) for part, value in plain.items()})
    return type_named(plain) if name == "kind" else _tuples(plain)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _add_numbers(rows: dict[str, list[Any]], name: str, values: NDArray[Any]) -> None:
    flat = values.astype(np.int64).reshape(len(values) if values.ndim else 1, -1)
    rows["constant"] += [name] * len(flat)
    rows["place"] += range(len(flat))
    rows["integers"] += list(flat)


def _from_numbers(layer: Layer, name: str, given: Mapping[str, Any]) -> NDArray[Any]:
    shape, rows = given["shape"], layer.numbers
    flat = np.zeros((shape[0] if shape else 1, int(np.prod(shape[1:]))), np.int64)
    chosen = [i for i, constant in enumerate(rows["constant"]) if constant == name]
    seen = {rows["place"][i] for i in chosen}
    if seen != set(range(len(flat))):
        raise ValueError(f"{len(seen)} rows of '{name}', {len(flat)} expected")
    for i in chosen:
        flat[rows["place"][i]] = rows["integers"][i]
    return flat.reshape(shape).astype(given["dtype"])


def _add_planes(rows: dict[str, list[Any]], name: str, values: NDArray[Any], num_bits: int) -> None:
    codes = _codes(values, num_bits).reshape(len(values), -1)
    for neuron, own in enumerate(codes):
        words = [_packed(own >> plane & 1) for plane in range(num_bits)]
        (kept,) = np.nonzero(np.bitwise_or.reduce(words))
        is_whole = len(kept) == len(words[0])
        for plane, stored in enumerate(words):
            rows["constant"].append(name)
            rows["neuron"].append(neuron)
            rows["plane"].append(plane)
            rows["kept"].append(kept[:0] if is_whole else kept)
            rows["words"].append(stored[kept])


def _from_planes(layer: Layer, name: str, given: Mapping[str, Any]) -> NDArray[Any]:
    shape, num_bits, rows = given["shape"], given["num_bits"], layer.planes
    size = int(np.prod(shape[1:]))
    count = -(-size // _WIDTH)
    words = np.zeros((num_bits, shape[0], count), np.uint64)
    chosen = [i for i, constant in enumerate(rows["constant"]) if constant == name]
    seen = {(rows["plane"][i], rows["neuron"][i]) for i in chosen}
    if len(seen) != num_bits * shape[0]:
        raise ValueError(f"{len(seen)} rows of '{name}', {num_bits * shape[0]} expected")
    for i in chosen:
        stored, kept = rows["words"][i], rows["kept"][i]
        place = kept if len(kept) or not len(stored) else slice(None)
        words[rows["plane"][i], rows["neuron"][i], place] = stored
    bits = np.unpackbits(words.astype("<u8").view(np.uint8), axis=-1, bitorder="little")
    codes = (bits[..., :size].astype(np.int64) << np.arange(num_bits)[:, None, None]).sum(0)
    return _values(codes, num_bits).reshape(shape).astype(given["dtype"])


def _codes(values: NDArray[Any], num_bits: int) -> NDArray[np.int64]:
    """Return integers of 0 and more: two's complement, but that 1 bit stands for -1 and 1."""
    whole = values.astype(np.int64)
    return (whole > 0).astype(np.int64) if num_bits == 1 else whole & (1 << num_bits) - 1


def _values(codes: NDArray[np.int64], num_bits: int) -> NDArray[np.int64]:
    if num_bits == 1:
        return 2 * codes - 1
    return codes - ((codes >> num_bits - 1) << num_bits)


def _packed(bits: NDArray[np.int64]) -> NDArray[np.uint64]:
    padded = np.zeros(-(-len(bits) // _WIDTH) * _WIDTH, np.uint8)
    padded[: len(bits)] = bits
    return np.packbits(padded, bitorder="little").view("<u8").astype(np.uint64)
