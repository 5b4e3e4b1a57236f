"""Trained networks compressed to budgets of bytes, and what their C costs on a Cortex-M3.

    python -m benchmarks.compression FOLDER [--device=cuda] [--workers=4] [--only=ResNet-8]

FOLDER keeps each row by itself, so that what is killed goes on; see `row.py`. The rows that are
there then become `results/compression.json`. On one H200, rows of ResNet-20 take 40 s each side by
side, others about 10; more than six workers gain nothing.

budget_bytes: of flash; flash_bytes, ram_bytes: of the objects, and of arena, inputs and outputs.
dense, accuracy: in percent of all test samples, of the network before and of the C. instructions,
stack_bytes: of one inference on an emulated M3. Row.ratio: bytes of the dense network's floats /
flash. BakeNN quantizes the dense network of digits itself; its flash is what the call reaches.
"""

import json
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from benchmarks.boards import cost
from benchmarks.compression.folded import folded
from benchmarks.compression.networks import NETWORKS, PARTS
from benchmarks.compression.photos import load
from benchmarks.compression.row import BOARD, stem_of
from benchmarks.harness import Row, origin, report
from quantlab.deploy.c.boards.measure import measure
from quantlab.deploy.c.boards.table import BOARDS
from quantlab.deploy.c.model import c_model
from quantlab.deploy.folder import write_files
from quantlab.integer.file import from_bytes

SEEDS = (0, 1, 2)
METHODS = ("sensitivity", "largest_first")


def names() -> Iterator[tuple[str, int, str, str]]:
    """Yield network, seed, budget and rule of each row; SparseComp's beside ours where budgets are
    parts of the floats."""
    for name, network in NETWORKS.items():
        for seed in SEEDS:
            for budget in network.budgets or PARTS:
                for method in METHODS[:1] if network.budgets else METHODS:
                    yield name, seed, budget, method


def run(folder: Path, row: tuple[str, int, str, str], device: str) -> None:
    """Measure a row in a process of its own, unless it is there."""
    name, seed, budget, method = row
    command = [sys.executable, "-m", "benchmarks.compression.row", str(folder)]
    subprocess.run([*command, name, str(seed), budget, method, device], check=False)


def row_of(folder: Path, row: tuple[str, int, str, str]) -> Row | None:
    """Return a row with its cost on the board, None if it was not measured."""
    path = folder / f"{stem_of(*row, {})}.json"
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    figures = {
        "network": found["network"],
        "seed": found["seed"],
        "budget": found["budget"],
        "method": found["method"],
        "budget_bytes": found["bytes"],
        "dense": found["dense"],
    }
    if "error" in found:
        figures |= {"error": found["error"]}
        return Row(figures=figures, peer="floats", ratio=0.0, origin=_origin(found))
    program = from_bytes(path.with_suffix(".qlp").read_bytes(), str(path))
    with tempfile.TemporaryDirectory() as name:
        write_files(c_model(program, found["encoding"]).files, Path(name))
        taken = measure(Path(name), BOARDS[BOARD])
    assert taken.flash_bytes <= found["bytes"], "the budget"
    figures |= {
        "encoding": found["encoding"],
        "flash_bytes": taken.flash_bytes,
        "ram_bytes": found["ram"],
        "stack_bytes": taken.stack_bytes,
        "instructions": taken.instructions,
        "accuracy": found["accuracy"],
    }
    ratio = found["float_bytes"] / taken.flash_bytes
    return Row(figures=figures, peer="floats", ratio=ratio, origin=_origin(found))


def peer_of(folder: Path, name: str, seed: int) -> Row | None:
    """Return a dense network as BakeNN writes it, None where BakeNN or the network is not there."""
    path = folder / f"{name}-{seed}.pt"
    if find_spec("bakenn") is None or not path.exists():
        return None
    from benchmarks.c_peers import bakenn_of_torch

    network = NETWORKS[name]
    dense = network.new()
    dense.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    samples = load(
        network.problem, network.topology, network.fit, batch_size=network.batch_size, device="cpu"
    )
    inputs, _ = next(iter(samples.valid))
    with tempfile.TemporaryDirectory() as directory:
        theirs = bakenn_of_torch(folded(dense.eval()), list(inputs[:64, None]), Path(directory))
        found = cost(BOARDS[BOARD], theirs)
    figures = {
        "network": name,
        "seed": seed,
        "budget": "",
        "method": "BakeNN, plain C",
        "flash_bytes": found.flash_bytes,
        "ram_bytes": theirs.arena_bytes + theirs.input_bytes + theirs.output_bytes,
        "stack_bytes": found.stack_bytes,
        "instructions": found.instructions,
    }
    floats = 4 * sum(parameter.numel() for parameter in dense.parameters())
    ratio = floats / found.flash_bytes
    return Row(figures=figures, peer="floats", ratio=ratio, origin=_origin({}))


def _origin(found: dict[str, Any]) -> dict[str, Any]:
    trained = {"trained_on": found["device"], "trained_with": found["isa"]} if found else {}
    return {**origin(), "command": "python -m benchmarks.compression FOLDER", **trained}


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    chosen = [row for row in names() if given.only in row[0]]
    with ThreadPoolExecutor(given.workers) as pool:
        list(pool.map(lambda row: run(given.folder, row, given.device), chosen))
    found = [row_of(given.folder, row) for row in names()]
    found.append(peer_of(given.folder, "digits", SEEDS[0]))
    report("compression", [row for row in found if row is not None])


if __name__ == "__main__":
    main()
