"""Programs in files: one container each, weights packed to their bits."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from quantlab.errors import VerificationError
from quantlab.formats.container import Contents, Stored, pack, unpack
from quantlab.integer.encoding import Encoding
from quantlab.integer.operations import OPERATIONS, Operation, Windows
from quantlab.integer.program import Program, Reading
from quantlab.integer.tensor_type import IntegerType, TensorType, type_named

KIND = "program"
REMEDY = (
    "delete the file to have it written anew, or give the limits that it was exported with "
    "(memory_bits, sum_bits)"
)


def to_bytes(program: Program) -> bytes:
    """Return a program as a container; the same program gives the same bytes."""
    tensors = stored_tensors(program)
    meta = {
        "inputs": {name: _plain_type(given) for name, given in program.inputs.items()},
        "operations": [_plain(operation) for operation in program.operations],
        "outputs": list(program.outputs),
        "reals": list(program.reals),
        "rounded": list(program.rounded),
        "quantizers": dict(program.quantizers),
    }
    for kind, readings in (("real", program.reals), ("rounded", program.rounded)):
        for name, reading in readings.items():
            for part, values in (("scale", reading.scale), ("offset", reading.offset)):
                tensors[f"{name}.{kind}_{part}"] = Stored(values=np.asarray(values, np.float64))
    if program.encodings:  # files of programs without any stay as they were
        meta["encodings"] = {name: list(one.names) for name, one in program.encodings.items()}
    if len(program.outputs) == 1 and program.endings:  # as files of one output always had it
        (meta["ending"],) = program.endings
    elif program.endings:
        meta["endings"] = list(program.endings)
    for name, encoding in program.encodings.items():
        tensors[f"{name}.encoding_scale"] = Stored(values=encoding.scale)
        tensors[f"{name}.encoding_zero_point"] = Stored(values=encoding.zero_point)
    return pack(KIND, meta, tensors)


def from_bytes(data: bytes, source: str) -> Program:
    """Return the program of a container. source: its name, for errors.

    Raises VerificationError for damaged data, UsageError for a file of another kind.
    """
    contents = unpack(data, KIND, source)
    try:
        return _program(contents)
    except (KeyError, TypeError, AttributeError) as error:
        raise VerificationError(f"{source}: no program can be made of it: {error}") from error


def stored_tensors(program: Program) -> dict[str, Stored]:
    """Return the constants of all operations as they are stored, by `<output>.<field>`."""
    found: dict[str, Stored] = {}
    for operation in program.operations:
        for name, values in operation.constants().items():
            stored = Stored(values=values, num_bits=operation.num_bits(name))
            found[f"{operation.output}.{name}"] = stored
    return found


def tensor_hashes(program: Program) -> dict[str, str]:
    """Return the SHA-256 of each constant as it is stored, by `<output>.<field>`."""
    return {
        name: hashlib.sha256(stored.encode()).hexdigest()
        for name, stored in stored_tensors(program).items()
    }


def _plain(operation: Operation) -> dict[str, Any]:
    plain: dict[str, Any] = {"operation": type(operation).__name__}
    for field in fields(operation):
        value = getattr(operation, field.name)
        if isinstance(value, Windows):
            plain[field.name] = {f.name: getattr(value, f.name) for f in fields(value)}
        elif isinstance(value, IntegerType):
            plain[field.name] = value.name
        elif not isinstance(value, np.ndarray):
            plain[field.name] = value
    return plain


def _program(contents: Contents) -> Program:
    meta, tensors = contents.meta, contents.tensors
    return Program(
        inputs={name: _type(plain) for name, plain in meta["inputs"].items()},
        operations=tuple(_operation(plain, tensors) for plain in meta["operations"]),
        outputs=tuple(meta["outputs"]),
        reals={name: _reading(tensors, f"{name}.real") for name in meta["reals"]},
        rounded={name: _reading(tensors, f"{name}.rounded") for name in meta["rounded"]},
        quantizers=meta["quantizers"],
        encodings={
            name: _encoding(tensors, name, names)
            for name, names in meta.get("encodings", {}).items()
        },
        endings=tuple(meta.get("endings", [meta["ending"]] if meta.get("ending") else ())),
    )


def _reading(tensors: Mapping[str, Any], name: str) -> Reading:
    return Reading(scale=tensors[f"{name}_scale"], offset=tensors[f"{name}_offset"])


def _encoding(tensors: Mapping[str, Any], name: str, features: Sequence[str]) -> Encoding:
    return Encoding(
        names=tuple(features),
        scale=tensors[f"{name}.encoding_scale"],
        zero_point=tensors[f"{name}.encoding_zero_point"],
    )


def _operation(plain: Mapping[str, Any], tensors: Mapping[str, Any]) -> Operation:
    cls = OPERATIONS[plain["operation"]]
    values: dict[str, Any] = {}
    for field in fields(cls):
        if field.name not in plain:
            values[field.name] = tensors[f"{plain['output']}.{field.name}"]
        elif field.name == "windows":
            windows = {name: _tuples(value) for name, value in plain["windows"].items()}
            values[field.name] = Windows(**windows)
        elif field.name == "kind":
            values[field.name] = type_named(plain["kind"])
        else:
            values[field.name] = _tuples(plain[field.name])
    return cls(**values)


def _plain_type(given: TensorType) -> dict[str, Any]:
    return {"shape": list(given.shape), "kind": given.kind.name}


def _type(plain: Mapping[str, Any]) -> TensorType:
    return TensorType(tuple(plain["shape"]), type_named(plain["kind"]))


def _tuples(value: Any) -> Any:
    return tuple(_tuples(part) for part in value) if isinstance(value, list) else value
