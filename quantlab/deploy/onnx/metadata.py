"""What a model says of its inputs, in its metadata: `quantlab.inputs`, JSON.

By the name of an input, as far as the program knows it: `scale` and `zero_point` of its integers,
real = (integer - zero_point) * scale, one or one a channel; and under `encoding`, where real
numbers are encoded first, the `names` of the features with the `scale` and `zero_point` of each,
integer = clamp(floor(number / scale + 1/2) + zero_point).
"""

import json
from typing import Any

import numpy as np

from quantlab.integer.encoding import Encoding
from quantlab.integer.program import Program, Reading

INPUTS = "quantlab.inputs"


def metadata(program: Program) -> dict[str, str]:
    """Return the metadata of a program's model; none where nothing is known of its inputs."""
    described = {name: _described(program, name) for name in program.inputs}
    known = {name: described[name] for name in described if described[name]}
    return {INPUTS: json.dumps(known, sort_keys=True)} if known else {}


def _described(program: Program, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if name in program.reals:
        found |= _grid(program.reals[name])
    if name in program.encodings:
        found["encoding"] = _encoding(program.encodings[name])
    return found


def _grid(reading: Reading) -> dict[str, Any]:
    zero_point = -reading.offset / reading.scale
    return {
        "scale": reading.scale.reshape(-1).tolist(),
        "zero_point": np.rint(zero_point).astype(np.int64).reshape(-1).tolist(),
    }


def _encoding(encoding: Encoding) -> dict[str, Any]:
    return {
        "names": list(encoding.names),
        "scale": encoding.scale.tolist(),
        "zero_point": encoding.zero_point.tolist(),
    }
