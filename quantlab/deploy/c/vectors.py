"""Golden vectors: inputs of the user's own and the outputs that the program gives, as C.

`headers/input.h` has them as they lie in memory, images row by row, the channels of a place
together. `ql_selftest` runs the model on them too.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.interface import outputs_of
from quantlab.deploy.c.text import NOTE, identifier, rows
from quantlab.deploy.c.traced import laid_out
from quantlab.deploy.c.written import Interface
from quantlab.errors import UsageError
from quantlab.integer.interpreter import check_inputs, run
from quantlab.integer.program import Program

HEADER = "input"


def given_name(name: str) -> str:
    """Return the array with the vectors of an input."""
    return f"ql_vectors_{identifier(name)}"


def expected_name(name: str) -> str:
    """Return the array with what an output has to be for each vector."""
    return f"ql_expected_{identifier(name)}"


def vectors_header(program: Program, vectors: Mapping[str, NDArray[Any]]) -> str:
    """Return `headers/input.h`.

    vectors: of each input by name, integers `[N, ...]`. Raises UsageError if they are not those
    that the program takes, and for none.
    """
    check_inputs(program, vectors)
    return header_of(program, vectors, run(program, vectors))


def header_of(
    program: Interface, vectors: Mapping[str, NDArray[Any]], expected: Mapping[str, NDArray[Any]]
) -> str:
    """Return `headers/input.h`. expected: of each output by name, `[N, ...]`. Raises UsageError for
    no vectors."""
    count = len(next(iter(vectors.values())))
    if count == 0:
        raise UsageError("vectors: 0 samples given, at least 1 allowed")
    arrays = [(given_name(name), vectors[name]) for name in program.inputs]
    arrays += [(expected_name(name), expected[name]) for name in outputs_of(program)]
    body = "\n".join(rows(name, _flat(values)) for name, values in arrays)
    return f"""{NOTE}#ifndef QL_INPUT_H
#define QL_INPUT_H

#include "../runtime/ql.h"

/* Inputs of the model, and the outputs that it has to give. */
enum {{ QL_NUM_VECTORS = {count} }};

{body}
#endif
"""


def to_text(vectors: Mapping[str, NDArray[Any]]) -> str:
    """Return vectors as text: the little-endian bytes of each input in base64, by its name."""
    found = {
        name: b64encode(np.ascontiguousarray(v, v.dtype.newbyteorder("<")).tobytes()).decode()
        for name, v in vectors.items()
    }
    return json.dumps(found)


def is_text(text: str) -> bool:
    """Return whether `to_text` may have made a text, of whatever inputs."""
    try:
        said = json.loads(text)
        return isinstance(said, dict) and all(b64decode(v, validate=True) for v in said.values())
    except (ValueError, TypeError):
        return False


def from_text(program: Program, text: str) -> Mapping[str, NDArray[Any]]:
    """Return the vectors of a text that `to_text` made. Raises UsageError for any other."""
    try:
        said = json.loads(text)
        raw = {name: b64decode(said[name], validate=True) for name in program.inputs}
        return {
            name: np.frombuffer(raw[name], np.dtype(kind.kind.dtype).newbyteorder("<"))
            .reshape(-1, *kind.shape)
            .astype(kind.kind.dtype)
            for name, kind in program.inputs.items()
        }
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"vectors: '{text[:40]}' given, samples of {', '.join(program.inputs)} allowed, as "
            "quantlab.deploy.c.vectors.to_text writes them"
        ) from error


def _flat(values: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(laid_out(values)).reshape(len(values), -1)
