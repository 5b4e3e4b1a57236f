"""A program as C: `model.c`, `model.h`, a header of constants for each layer, and the runtime."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.artefact import Files
from quantlab.deploy.c.emit import emit
from quantlab.deploy.c.folder import MANIFEST
from quantlab.deploy.c.interface import (
    input_name,
    interface,
    output_name,
    outputs_of,
    size_name,
)
from quantlab.deploy.c.intermittent.check import behind_progress, check_repeatable
from quantlab.deploy.c.intermittent.plan import num_tiles, said_of, steps_of, tile_sources
from quantlab.deploy.c.intermittent.power import Power, power_of
from quantlab.deploy.c.intermittent.source import tiled_calls
from quantlab.deploy.c.intermittent.work import copy_work
from quantlab.deploy.c.kernels.choice import Encoding, chosen
from quantlab.deploy.c.kernels.table import AUTO
from quantlab.deploy.c.placed import Placed, channels_last, in_order
from quantlab.deploy.c.pooled import can_pool
from quantlab.deploy.c.rows import can_make
from quantlab.deploy.c.runtime_files import headers_for, runtime_files
from quantlab.deploy.c.selftest import expected_crc32
from quantlab.deploy.c.sizes import Sizes, sizes_of
from quantlab.deploy.c.source import selftest, source
from quantlab.deploy.c.text import NOTE
from quantlab.deploy.c.vectors import HEADER, to_text, vectors_header
from quantlab.deploy.c.walks import can_follow
from quantlab.deploy.c.writer import Pointer, Writer
from quantlab.deploy.c.written import Interface
from quantlab.errors import UsageError, check_kind
from quantlab.integer.operations import MaxPool, Multiply, Operation
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import TensorType


@dataclass(frozen=True, kw_only=True)
class Model:
    """files: by path. tensors: how each one lies that QL_TRACE gives, in the order of its numbers,
    which are those of `program.types`."""

    files: Files
    tensors: Mapping[str, Placed]
    sizes: Sizes

    @property
    def arena_size(self) -> int:
        """The bytes of the memory that the model works in."""
        return self.sizes.arena


def c_model(
    program: Program,
    encoding: Encoding = AUTO,
    *,
    vectors: Mapping[str, NDArray[Any]] | None = None,
    intermittent: bool | Power = False,
) -> Model:
    """Return a program as C.

    encoding: of the layers' weights, see `kernels/choice.py`: `auto` for the fewest bytes, a name
    of `kernels/table.py`, or a name for each layer. vectors: samples of each input by name,
    integers `[N, ...]`, for `headers/input.h`, see `vectors.py`. intermittent: whether the model
    survives power failures, or what it asks of the power. Raises UsageError, with the layer, for
    what C cannot hold, and for more work between two commits than a charge has energy for.
    """
    check_kind("program", program, Program, "a Program")
    power = power_of(intermittent)
    writer = new_writer(program, encoding, power)
    take_inputs(writer)
    for group in writer.groups:
        emit(group, writer)
    _give_outputs(writer)
    arena = writer.arena()
    steps = None
    if power is not None:
        arena = behind_progress(arena)
        check_repeatable(writer.calls, arena, writer.sizes)
        steps = steps_of(writer.calls, power)
        writer.runtime |= tile_sources(steps)
    runtime = runtime_of(writer, has_vectors=vectors is not None)
    headers = {
        f"headers/{name}.h": header(name, body) for name, body in writer.definitions.items() if body
    }
    has_vectors = vectors is not None
    if vectors is not None:
        headers[f"headers/{HEADER}.h"] = vectors_header(program, vectors)
    includes = [*(f"runtime/{name}" for name in runtime if name.endswith(".h")), *headers]
    test = selftest(
        program, expected_crc32(program), has_vectors=has_vectors, is_tiled=steps is not None
    )
    calls = None if steps is None else tiled_calls(writer, arena, steps)
    tiles = None if steps is None else num_tiles(steps)
    texts = {
        "model.c": source(writer, arena, includes, test, calls),
        "model.h": interface(program, arena.size, has_vectors=has_vectors, num_tiles=tiles),
        **headers,
        **{f"runtime/{name}": text for name, text in runtime.items()},
    }
    files = {name: text.encode() for name, text in texts.items()}
    sizes = sizes_of(writer, arena)
    said = manifest_of(program, writer, encoding, sizes, files, vectors)
    if steps is not None and power is not None:
        said |= said_of(steps, power)
    files[MANIFEST] = (json.dumps(said, indent=2) + "\n").encode()
    return Model(files=files, tensors=writer.kept, sizes=sizes)


def new_writer(program: Program, encoding: Encoding, power: Power | None = None) -> Writer:
    """Return a program of which nothing is written yet. encoding: as of `c_model`. power: that may
    fail. Raises UsageError for one without operations, and for an encoding that does not exist."""
    if not program.operations:
        raise UsageError("c: a program of 0 operations given, at least 1 allowed")

    def makes(operation: Operation, side: int, source: Operation) -> bool:
        if isinstance(source, Multiply):
            return can_follow(operation, source, program)
        return can_make(operation, [program.types[name] for name in operation.inputs])

    def pools(pooling: MaxPool, source: Operation) -> bool:
        return can_pool(pooling, source, program)

    return Writer(program, makes, pools, chosen(program, encoding), power)


def runtime_of(writer: Writer, *, has_vectors: bool) -> Mapping[str, str]:
    """Return the files of the runtime that a model calls, by name, those of its own test too."""
    most_made = max(len(group.made) for group in writer.groups)
    tests = {"selftest", "is_same"} if has_vectors else {"selftest"}
    return runtime_files(writer.runtime | tests, most_made=max(most_made, 1))


def take_inputs(writer: Writer) -> None:
    """Give the inputs their places, in the caller's memory where they can be read there."""
    for name, kind in writer.program.inputs.items():
        order = channels_last(kind.shape)
        if np.dtype(kind.kind.dtype).itemsize == 1:
            writer.placed[name] = in_order(name, kind, order)
            writer.given[name] = input_name(name)
            continue
        # At any address: larger integers are copied to where they can be read.
        to = writer.new(name, order)
        writer.call(
            "memcpy",
            Pointer(to.buffer, is_written=True),
            input_name(name),
            size_name(name),
            work=copy_work(writer.sizes[to.buffer]),
        )


def _give_outputs(writer: Writer) -> None:
    for name in outputs_of(writer.program):
        found = writer.ordered(name)
        if np.dtype(found.kind.kind.dtype).itemsize == 1 and writer.is_own(found.buffer):
            # Bytes can be written at any address.
            writer.give(found.buffer, output_name(name))
        else:
            arguments = (output_name(name), Pointer(found.buffer), size_name(name))
            writer.call("memcpy", *arguments, work=copy_work(_num_bytes(found.kind)))


def _num_bytes(kind: TensorType) -> int:
    return prod(kind.shape) * np.dtype(kind.kind.dtype).itemsize


def header(name: str, definitions: Sequence[str]) -> str:
    """Return a file of the constants of a group."""
    body = "\n".join(definitions)
    guard = f"QL_{name.upper()}_H"
    includes = "\n".join(f'#include "../runtime/{file}"' for file in ["ql.h", *headers_for(body)])
    return f"{NOTE}#ifndef {guard}\n#define {guard}\n\n{includes}\n\n{body}\n#endif\n"


def manifest_of(
    program: Interface,
    writer: Writer,
    encoding: Encoding,
    sizes: Sizes,
    files: Files,
    vectors: Mapping[str, NDArray[Any]] | None,
) -> dict[str, object]:
    """Return what `model.json` says. program: what the caller gives and gets."""
    said: dict[str, object] = {
        "arena_bytes": sizes.arena,
        "input_bytes": sizes.inputs,
        "output_bytes": sizes.outputs,
        "constant_bytes": {
            path: size
            for name, size in sizes.constants.items()
            if (path := f"headers/{name}.h") in files
        },
        "encoding": encoding if isinstance(encoding, str) else dict(encoding),
        "weights": {
            name: {"encoding": stored.encoding, "bytes": stored.weights.nbytes}
            for name, stored in writer.weights.items()
        },
        "inputs": {name: str(kind) for name, kind in program.inputs.items()},
        "outputs": {name: str(program.types[name]) for name in program.outputs},
    }
    if vectors is not None:
        said["vectors"] = to_text(vectors)
    said["sha256"] = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    return said
