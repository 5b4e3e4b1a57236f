"""A program with exits as C: `model.c` and `model_ee.c`, their headers, and the runtime."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.exits.interface import EXIT, SCORES, ExitInterface, interface_of
from quantlab.deploy.c.exits.source import (
    heads_interface,
    heads_source,
    includes_header,
    trunk_source,
)
from quantlab.deploy.c.exits.steps import write_steps
from quantlab.deploy.c.folder import MANIFEST
from quantlab.deploy.c.interface import interface
from quantlab.deploy.c.kernels.choice import Encoding
from quantlab.deploy.c.kernels.table import AUTO
from quantlab.deploy.c.model import (
    Model,
    header,
    manifest_of,
    new_writer,
    runtime_of,
    take_inputs,
)
from quantlab.deploy.c.selftest import crc32, made_inputs
from quantlab.deploy.c.sizes import Sizes, num_bytes, sizes_of
from quantlab.deploy.c.source import selftest
from quantlab.deploy.c.vectors import HEADER, header_of
from quantlab.errors import check_kind
from quantlab.exits.interpreter import run
from quantlab.exits.program import ExitProgram
from quantlab.integer.interpreter import check_inputs


def exit_model(
    exits: ExitProgram,
    encoding: Encoding = AUTO,
    *,
    vectors: Mapping[str, NDArray[Any]] | None = None,
) -> Model:
    """Return a program with exits as C.

    `ql_run` gives the scores at which the sample leaves, and the number of the exit. The trunk and
    its constants are there once, and all share one arena.

    encoding: as of `c_model`. vectors: samples of each input by name, integers `[N, ...]`, for
    `headers/input.h`, with the scores and exits of each. Raises UsageError, with the layer, for
    what C cannot hold.
    """
    check_kind("exits", exits, ExitProgram, "an ExitProgram")
    if vectors is not None:
        check_inputs(exits.program, vectors)
    seen, has_vectors = interface_of(exits), vectors is not None
    writer = new_writer(exits.program, encoding)
    take_inputs(writer)
    steps = write_steps(exits, writer)
    arena = writer.arena()
    headers = {
        steps.names[name]: header(steps.names[name], body)
        for name, body in writer.definitions.items()
        if body
    }
    of_heads = {steps.names[name] for name in steps.of_heads}
    runtime = runtime_of(writer, has_vectors=has_vectors)
    lists = _lists(headers, of_heads, runtime, has_vectors=has_vectors)
    if vectors is not None:
        headers[HEADER] = header_of(seen, vectors, outputs_of_exits(exits, vectors))
    made = outputs_of_exits(exits, made_inputs(exits.program))
    test = selftest(seen, crc32([made[name][0] for name in seen.outputs]), has_vectors=has_vectors)
    texts = {
        "model.c": trunk_source(seen, writer, arena, steps, test),
        "model.h": interface(seen, arena.size, has_vectors=has_vectors),
        "model_ee.c": heads_source(writer, arena, steps),
        "model_ee.h": heads_interface(writer, steps),
        **{f"headers/{name}.h": text for name, text in (headers | lists).items()},
        **{f"runtime/{name}": text for name, text in runtime.items()},
    }
    files = {name: text.encode() for name, text in texts.items()}
    sizes = _sizes(sizes_of(writer, arena), seen, steps.names)
    said = manifest_of(seen, writer, encoding, sizes, files, vectors)
    said["thresholds"] = list(exits.thresholds)
    files[MANIFEST] = (json.dumps(said, indent=2) + "\n").encode()
    return Model(files=files, tensors=writer.kept, sizes=sizes)


def outputs_of_exits(
    exits: ExitProgram, inputs: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """Return what `ql_run` gives for a batch: scores `[N, C]` and exits `[N, 1]`."""
    found = run(exits, inputs)
    return {SCORES: found.scores, EXIT: np.asarray(found.exits[:, None], np.uint8)}


def _lists(
    headers: Mapping[str, str],
    of_heads: set[str],
    runtime: Mapping[str, str],
    *,
    has_vectors: bool,
) -> dict[str, str]:
    """Return the headers that include all others that a source needs."""
    shared = [f"../runtime/{name}" for name in runtime if name.endswith(".h")]
    trunk = [f"{name}.h" for name in headers if name not in of_heads]
    heads = [f"{name}.h" for name in headers if name in of_heads]
    trunk += [f"{HEADER}.h"] if has_vectors else []
    return {
        "headers": includes_header("QL_HEADERS_H", [*shared, *trunk]),
        "headers_ee": includes_header("QL_HEADERS_EE_H", [*shared, *heads]),
    }


def _sizes(sizes: Sizes, seen: ExitInterface, names: Mapping[str, str]) -> Sizes:
    """Return sizes with what `ql_run` gives in place of the scores of all exits."""
    return replace(
        sizes,
        outputs=sum(num_bytes(seen, name) for name in seen.outputs),
        constants={names[name]: size for name, size in sizes.constants.items()},
    )
