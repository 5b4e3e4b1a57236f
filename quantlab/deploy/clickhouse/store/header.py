"""What of a program is no operation, as JSON."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from quantlab.integer.encoding import Encoding
from quantlab.integer.operations import Operation
from quantlab.integer.program import Program, Reading
from quantlab.integer.tensor_type import TensorType, type_named


def header_of(program: Program) -> str:
    """Return the text: floats as Python writes them, which is exact."""
    plain = {
        "inputs": [
            [name, list(given.shape), given.kind.name] for name, given in program.inputs.items()
        ],
        "outputs": list(program.outputs),
        "reals": [[name, _reading(one)] for name, one in program.reals.items()],
        "rounded": [[name, _reading(one)] for name, one in program.rounded.items()],
        "quantizers": list(map(list, program.quantizers.items())),
        "encodings": [[name, _encoding(one)] for name, one in program.encodings.items()],
        "endings": list(program.endings),
    }
    return json.dumps(plain, separators=(",", ":"))


def program_of(header: str, operations: Sequence[Operation]) -> Program:
    """Return the program of a header and its operations. Raises KeyError, ValueError, UsageError
    for a header that is damaged."""
    plain = json.loads(header)
    return Program(
        inputs={
            name: TensorType(tuple(shape), type_named(kind))
            for name, shape, kind in plain["inputs"]
        },
        operations=tuple(operations),
        outputs=tuple(plain["outputs"]),
        reals={name: Reading(**_arrays(one)) for name, one in plain["reals"]},
        rounded={name: Reading(**_arrays(one)) for name, one in plain["rounded"]},
        quantizers=dict(plain["quantizers"]),
        encodings={
            name: Encoding(names=tuple(names), **_arrays(arrays))
            for name, (names, arrays) in plain["encodings"]
        },
        endings=tuple(plain["endings"]),
    )


def _reading(one: Reading) -> Mapping[str, Any]:
    return {"scale": _array(one.scale), "offset": _array(one.offset)}


def _encoding(one: Encoding) -> tuple[list[str], Mapping[str, Any]]:
    arrays = {"scale": _array(one.scale), "zero_point": _array(one.zero_point)}
    return list(one.names), arrays


def _array(values: Any) -> Sequence[Any]:
    array = np.asarray(values)
    return array.dtype.name, list(array.shape), array.reshape(-1).tolist()


def _arrays(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: np.array(values, dtype).reshape(shape)
        for name, (dtype, shape, values) in plain.items()
    }
