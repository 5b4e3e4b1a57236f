"""The int8 networks of MLPerf Tiny on emulated microcontrollers, ours and those of peers.

All sides have the same weights (`benchmarks.reference_networks`), are compiled with -O2 and run in
QEMU on the same support code: Cortex-M3 (mps2-an385), Cortex-M4 (mps2-an386) and Cortex-M55
(mps3-an547). Before we are measured, the model's own test compares its outputs with the
interpreter's on that core.

flash: bytes of code and constants that an inference reaches, without the C library. arena: bytes
that the caller gives. stack: the most bytes in use. instructions: of one inference, not cycles:
QEMU knows no wait states and no pipeline. Input and output are in none of them.

BakeNN 1.0 has plain C on the M3, CMSIS-NN's kernels on the M4 and the M55, where they use Helium's
vectors; so do ours, which are measured without them too. emx-onnx-cgen computes our `qdq.onnx` in
floats. Row.ratio: BakeNN's instructions / own instructions.

A second table has TFLite-Micro, which interprets the file: the file's bytes and the least arena
that it starts with, on x86-64. Row.ratio there: its arena / our arena.

`python -m tests.benchmarks.figures` puts the first table into docs/c.md.
"""

import dataclasses
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tflite_micro.python.tflite_micro import runtime

from benchmarks.boards import Sources, cost
from benchmarks.c_peers import bakenn_cmsis_nn, bakenn_portable, emx_onnx_cgen, ours
from benchmarks.harness import Row, report
from benchmarks.reference_networks import NETWORKS, folder
from quantlab.deploy.c.boards.table import BOARDS

Side = Callable[[Path, Path], Sources]


def without_helium(file: Path, folder: Path) -> Sources:
    """Write our model into a folder, for a Cortex-M55 that has no vectors."""
    return dataclasses.replace(ours(file, folder), flags=["-mcpu=cortex-m55+nomve"])


PATCHED = (bakenn_portable, bakenn_cmsis_nn)
# The first side is the peer of the others.
SIDES: Mapping[str, Mapping[str, Side]] = {
    "c-m3": {
        "BakeNN, plain C": bakenn_portable,
        "QuantLab": ours,
        "emx-onnx-cgen": emx_onnx_cgen,
    },
    "c-m4": {
        "BakeNN, CMSIS-NN": bakenn_cmsis_nn,
        "QuantLab": ours,
        "emx-onnx-cgen": emx_onnx_cgen,
    },
    "c-m55": {
        "BakeNN, CMSIS-NN": bakenn_cmsis_nn,
        "QuantLab": ours,
        "QuantLab without Helium": without_helium,
    },
}


def rows_of(network: str, files: Path, engine: str) -> Iterator[Row]:
    """Yield the rows of a network on a board."""
    board, sides = BOARDS[engine], SIDES[engine]
    peer, *_ = sides
    most = 0
    for name, side in sides.items():
        file = (files / "patched" if side in PATCHED else files) / NETWORKS[network]
        with tempfile.TemporaryDirectory() as directory:
            if side is ours:
                cost(board, ours(file, Path(directory) / "test", is_test=True))
            sources = side(file, Path(directory) / "model")
            found = cost(board, sources)
        most = found.instructions if name == peer else most
        yield Row(
            figures={
                "network": network,
                "core": board.core,
                "side": name,
                "flash_bytes": found.flash_bytes,
                "arena_bytes": sources.arena_bytes,
                "stack_bytes": found.stack_bytes,
                "ram_bytes": sources.arena_bytes + found.stack_bytes,
                "instructions": found.instructions,
            },
            peer=peer,
            ratio=most / found.instructions,
        )


def interpreted(network: str, files: Path) -> Row:
    """Return the row of TFLite-Micro."""
    file = files / NETWORKS[network]
    with tempfile.TemporaryDirectory() as directory:
        our_arena = ours(file, Path(directory) / "model").arena_bytes
    arena = _least_arena(file)
    return Row(
        figures={
            "network": network,
            "file_bytes": file.stat().st_size,
            "arena_bytes": arena,
            "our_arena_bytes": our_arena,
        },
        peer="TFLite-Micro",
        ratio=arena / our_arena,
    )


def _least_arena(file: Path) -> int:
    least, enough = 0, 2**20
    while enough - least > 1:
        middle = (least + enough) // 2
        least, enough = (least, middle) if _starts(file, middle) else (middle, enough)
    return enough


def _starts(file: Path, arena_bytes: int) -> bool:
    try:
        runtime.Interpreter.from_file(str(file), arena_size=arena_bytes)
    except RuntimeError:  # too small
        return False
    return True


def main() -> None:
    files = folder()
    report(
        "microcontrollers",
        [
            row
            for network in NETWORKS
            for engine in SIDES
            for row in rows_of(network, files, engine)
        ],
    )
    report("microcontrollers_interpreted", [interpreted(network, files) for network in NETWORKS])


if __name__ == "__main__":
    main()
