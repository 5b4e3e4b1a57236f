"""Float networks on emulated microcontrollers, ours and emx-onnx-cgen's.

The network reads digits of 16x16: two convolutions with batch norm, ReLU and pooling, two fully
connected layers, 38,160 weights. Both sides have the same weights, which are random: nothing here
depends on their values, but for the zeros of the pruned network, whose layers keep 88, 37, 6 and
48 % of them. Both are compiled with -O2 and run in QEMU on the same support code: Cortex-M3
(mps2-an385), which has no floating-point unit, and Cortex-M7 (mps2-an500), which has one for 32
bits. Before we are measured, the model's own test compares the outputs with the interpreter's on
that core, to the bit.

flash: bytes of code and constants that an inference reaches, without the C library and the
compiler's own. ram: arena and stack, without input and output. instructions: of one inference, not
cycles. Row.ratio: emx-onnx-cgen's instructions / own instructions.
"""

import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from math import prod
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.boards import Sources, cost
from benchmarks.harness import Row, report
from quantlab.conversion.floats import float_model
from quantlab.deploy.c.boards.table import BOARDS
from quantlab.deploy.c.text import array
from quantlab.deploy.folder import write_files

ENGINES = ("c-m3", "c-m7")
DENSITIES = (0.88, 0.37, 0.062, 0.48)
SHAPE = (1, 16, 16)
NUM_CLASSES = 10


def digits(*, is_pruned: bool) -> nn.Module:
    """Return the network, as it evaluates."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, NUM_CLASSES),
    )  # fmt: skip
    layers = [layer for layer in network if isinstance(layer, nn.Conv2d | nn.Linear)]
    for layer, density in zip(layers, DENSITIES, strict=True):
        if is_pruned:
            sizes = layer.weight.detach().abs()
            least = sizes.reshape(-1).quantile(1 - density)
            with torch.no_grad():
                layer.weight.mul_(sizes >= least)
    return network.eval()


def ours(network: nn.Module, folder: Path, *, is_test: bool = False) -> Sources:
    """Write our model into a folder. is_test: whether its call is its own test."""
    model = float_model(network, torch.zeros(1, *SHAPE))
    write_files(model.files, folder)
    call = "ql_run(arena, given, QL_INPUT_SIZE, output, QL_OUTPUT_SIZE)"
    return _sources(
        [folder / "model.c", *sorted((folder / "runtime").glob("*.c"))],
        folder,
        "model.h",
        "ql_selftest(arena, input, output)" if is_test else call,
        model.arena_size,
    )


def emx_onnx_cgen(network: nn.Module, folder: Path) -> Sources:
    """Write emx-onnx-cgen's model into a folder. All its tensors lie on the stack, as it is told:
    these machines have no heap."""
    folder.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that this exporter is the old one
        torch.onnx.export(
            network,
            (torch.zeros(1, *SHAPE),),
            str(folder / "net.onnx"),
            opset_version=13,
            dynamo=False,
        )
    command = [str(Path(sys.executable).with_name("emx-onnx-cgen")), "compile"]
    command += ["--large-temp-threshold", "0", "--large-weight-threshold", "0"]
    command += ["--model-name", "net", str(folder / "net.onnx"), str(folder / "net.c")]
    subprocess.run(command, capture_output=True, check=True)
    (folder / "net.h").write_text("void net(const void*, void*);\n")
    return _sources([folder / "net.c"], folder, "net.h", "(net(given, output), 0)", 0)


def _sources(files: list[Path], folder: Path, header: str, call: str, arena_bytes: int) -> Sources:
    (folder / "given.h").write_text("#include <stdint.h>\n" + array("given", _given()))
    return Sources(
        files=files,
        includes=[folder],
        headers=[header, "given.h"],
        call=call,
        arena_bytes=arena_bytes,
        input_bytes=4 * prod(SHAPE),
        output_bytes=4 * NUM_CLASSES,
    )


def _given() -> NDArray[np.float32]:
    """Return the input, as both sides get it."""
    return np.random.default_rng(0).standard_normal(SHAPE, np.float32)


Side = Callable[[nn.Module, Path], Sources]
# The first side is the peer of the other.
SIDES: Mapping[str, Side] = {"emx-onnx-cgen": emx_onnx_cgen, "QuantLab": ours}


def rows_of(engine: str, *, is_pruned: bool) -> Iterator[Row]:
    """Yield the rows of a network on a board."""
    board, network = BOARDS[engine], digits(is_pruned=is_pruned)
    peer, *_ = SIDES
    most = 0
    for name, side in SIDES.items():
        with tempfile.TemporaryDirectory() as directory:
            if side is ours:
                cost(board, ours(network, Path(directory) / "test", is_test=True))
            sources = side(network, Path(directory) / "model")
            found = cost(board, sources)
        most = found.instructions if name == peer else most
        yield Row(
            figures={
                "network": "digits, pruned" if is_pruned else "digits",
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


def main() -> None:
    rows = [
        row
        for is_pruned in (False, True)
        for engine in ENGINES
        for row in rows_of(engine, is_pruned=is_pruned)
    ]
    report("float_microcontrollers", rows)


if __name__ == "__main__":
    main()
