"""A float program as C: the same folder as of integers, see `deploy/c/model.py`."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from quantlab.deploy.artefact import Files
from quantlab.deploy.c.floats.emit import emit
from quantlab.deploy.c.floats.selftest import expected_crc32
from quantlab.deploy.c.floats.weights import check_encoding
from quantlab.deploy.c.floats.writer import FloatWriter, read, written
from quantlab.deploy.c.folder import MANIFEST
from quantlab.deploy.c.interface import input_name, interface, output_name, size_name
from quantlab.deploy.c.model import Model
from quantlab.deploy.c.runtime_files import RUNTIME, runtime_files
from quantlab.deploy.c.sizes import Sizes, sizes_of
from quantlab.deploy.c.source import selftest, source
from quantlab.deploy.c.text import NOTE
from quantlab.deploy.c.vectors import HEADER, header_of
from quantlab.deploy.c.written import arena_of
from quantlab.floats.interpreter import run
from quantlab.floats.program import FloatProgram

_HEADERS = ("float_layer.h", "float_pool.h", "float_walk.h")


def float_c_model(
    program: FloatProgram,
    encoding: str = "auto",
    *,
    vectors: Mapping[str, NDArray[Any]] | None = None,
) -> Model:
    """Return a float program as C.

    encoding: of the layers' weights, see `weights.py`. vectors: samples of each input by name,
    floats `[N, ...]`, for `headers/input.h`. Raises UsageError, with the layer, for what C cannot
    hold.
    """
    check_encoding(encoding)
    writer = FloatWriter(program)
    for name in program.inputs:
        writer.call("memcpy", written(name), input_name(name), size_name(name))
    for operation in program.operations:
        writer.begin(operation)
        emit(operation, writer, encoding)
    for name, result in program.results.items():
        writer.call("memcpy", output_name(name), read(result.array), size_name(name))
    arena = arena_of(writer)
    tests = {"selftest", "float_numbers", *([] if vectors is None else ["is_same"])}
    runtime = _runtime(writer.runtime | tests)
    headers = {
        f"headers/{name}.h": _header(name, body)
        for name, body in writer.definitions.items()
        if body
    }
    if vectors is not None:
        headers[f"headers/{HEADER}.h"] = header_of(program, vectors, run(program, vectors))
    includes = [*(f"runtime/{name}" for name in runtime if name.endswith(".h")), *headers]
    test = selftest(
        program,
        expected_crc32(program),
        has_vectors=vectors is not None,
        numbers="ql_float_numbers",
    )
    texts = {
        "model.c": source(writer, arena, includes, test),
        "model.h": interface(program, arena.size, has_vectors=vectors is not None),
        **headers,
        **{f"runtime/{name}": text for name, text in runtime.items()},
    }
    files = {name: text.encode() for name, text in texts.items()}
    sizes = sizes_of(writer, arena)
    files[MANIFEST] = _manifest(writer, encoding, sizes, files)
    return Model(files=files, tensors={}, sizes=sizes)


def _runtime(sources: set[str]) -> Mapping[str, str]:
    """Return the files of these sources, and of the functions of one number that they call."""
    waiting, found = list(sources), set(sources)
    while waiting:
        text = (RUNTIME / f"{waiting.pop()}.c").read_text(encoding="utf-8")
        called = {f"scalar_{name}" for name in re.findall(r"\bql_scalar_(\w+)\(", text)} - found
        found |= called
        waiting += called
    return runtime_files(found, most_made=1)


def _header(name: str, definitions: list[str]) -> str:
    """Return the constants of an operation."""
    guard, body = f"QL_{name.upper()}_H", "\n".join(definitions)
    kinds = {"float_layer.h": "layer|sparse", "float_pool.h": "pool", "float_walk.h": "walk"}
    needed = [file for file in _HEADERS if re.search(rf"\bql_float_({kinds[file]}) c", body)]
    includes = "\n".join(f'#include "../runtime/{file}"' for file in ["ql.h", *needed])
    return f"{NOTE}#ifndef {guard}\n#define {guard}\n\n{includes}\n\n{body}\n#endif\n"


def _manifest(writer: FloatWriter, encoding: str, sizes: Sizes, files: Files) -> bytes:
    program = writer.program
    said = {
        "arena_bytes": sizes.arena,
        "input_bytes": sizes.inputs,
        "output_bytes": sizes.outputs,
        "constant_bytes": {
            path: size
            for name, size in sizes.constants.items()
            if (path := f"headers/{name}.h") in files
        },
        "encoding": encoding,
        "weights": {
            layer: {"encoding": encoding, "bytes": nbytes}
            for layer, (encoding, nbytes) in writer.weights.items()
        },
        "inputs": {name: str(tensor) for name, tensor in program.inputs.items()},
        "outputs": {name: str(result.tensor) for name, result in program.results.items()},
        "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    }
    return (json.dumps(said, indent=2) + "\n").encode()
