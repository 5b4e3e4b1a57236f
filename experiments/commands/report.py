"""`main.py report`: what each layer of a run's integer program costs, and what its rounding loses.

Prints a table or JSON. Into the folder of the checkpoint's artefacts go `layers.jsonl`, a JSON
object for each operation, and `report.html`, a page to look at.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table
from torch import Tensor, nn

from experiments.command_line import Invocation
from experiments.commands.restored import limits_of, lowered, restore
from experiments.commands.stored import check_no_effect, find_run
from experiments.deployment.samples import raw_samples
from experiments.progress import Steps, console, show
from experiments.runs.files import storage_error, write_atomically
from experiments.runs.folder import RunFolder, is_compression
from experiments.runs.pictures import is_image_batch
from quantlab.errors import UsageError
from quantlab.integer.fidelity import measure
from quantlab.integer.page import decibels, marks, page, percent
from quantlab.integer.program import Program
from quantlab.integer.report import LayerCost, Report, report

LAYERS, PAGE = "layers.jsonl", "report.html"
_NUM_SAMPLES, _BATCH_SIZE = 256, 32
_LONGEST = 24  # letters of a layer's name in the table
_RIGHT = ("in", "wt", "bytes", "MACs", "bit ops", "sum", "free", "SQNR dB", "clip %")


def run(invocation: Invocation) -> int:
    """Lower the network, measure on test images, print a table or JSON, write the files. Of a
    compression print the report that it has."""
    folder, record = find_run(invocation)
    if is_compression(record):
        return _print_compression(invocation, folder, record["status"])
    count = invocation.number("samples") if invocation.has("samples") else _NUM_SAMPLES
    restored = restore(invocation)
    made = lowered(restored, limits_of(invocation))
    program = made.program
    samples, _ = raw_samples(made.data.test, restored.library, count)
    is_json = invocation.has("json")
    with Steps(len(samples), 0, is_shown=not is_json) as progress:
        fidelity = measure(program, _batches(program, samples, progress), _clamps(restored.network))
    found = report(program, fidelity)
    title = f"{restored.folder.name}, {restored.checkpoint}.ckpt"
    kind = "images" if is_image_batch(samples) else "samples"
    measured = f"measured on {len(samples):,} test {kind}"
    html = invocation.options.get("html", restored.artefacts / PAGE)
    paths = {"layers": restored.artefacts / LAYERS, "page": Path(html)}
    _make_folder(restored.artefacts)
    write_atomically(paths["layers"], _lines(found).encode())
    write_atomically(paths["page"], page(found, title=title, samples=measured).encode())
    if is_json:
        layers = [_plain(cost) for cost in found.layers]
        whole = {**asdict(found), "layers": layers, "num_bytes": found.num_bytes}
        console.print_json(json.dumps(whole, allow_nan=False))
        return 0
    show(table(found, title, longest=_LONGEST if console.is_terminal else None))
    _print_totals(found, measured)
    for name, path in paths.items():
        console.print(f"{name}: {path}", markup=False)
    return 0


def _print_compression(invocation: Invocation, folder: RunFolder, status: str) -> int:
    """Print the stored report of a compression. Raises UsageError where there is none, and for
    options that change nothing."""
    check_no_effect(invocation, folder, ("json",))
    path = folder.path / ("report.json" if invocation.has("json") else "report.txt")
    if not path.exists():
        raise UsageError(f"{path}: not there; {folder.name} is {status}")
    console.print(path.read_text(encoding="utf-8").rstrip("\n"), markup=False)
    return 0


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(folder, error) from error


def _batches(
    program: Program, samples: Tensor, progress: Steps
) -> Iterator[Mapping[str, NDArray[Any]]]:
    done = 0
    for part in samples.split(_BATCH_SIZE):
        yield {"input": program.encode("input", part.numpy())}
        done += len(part)
        progress.advance(done, "measuring")


def _clamps(network: nn.Module) -> dict[str, tuple[float, float]]:
    """Return between what a network's activations clamp, by path, beside ReLUs."""
    return {
        path: (float(module.min_val), float(module.max_val))
        for path, module in network.named_modules()
        if isinstance(module, nn.Hardtanh)  # ReLU6 is one
    }


def _plain(cost: LayerCost) -> dict[str, Any]:
    """Return a layer's numbers for JSON, null where one is not finite."""
    is_finite = cost.sqnr_db is None or math.isfinite(cost.sqnr_db)
    return {**asdict(cost), "sqnr_db": cost.sqnr_db if is_finite else None}


def _lines(found: Report) -> str:
    return "".join(json.dumps(_plain(cost), allow_nan=False) + "\n" for cost in found.layers)


def table(found: Report, title: str, *, longest: int | None = _LONGEST) -> Table:
    """Return a table of at most 120 letters; the files have the numbers in full.

    longest: letters of a layer's name that are shown, None for all.
    """
    shown = Table(
        "layer", "operation", "output", title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    for name in _RIGHT:
        shown.add_column(name, justify="right", no_wrap=True)
    for cost in found.layers:
        style = "yellow" if marks(found, cost) else None
        shown.add_row(*(escape(cell) for cell in _cells(cost, longest)), style=style)
    shown.add_section()
    num_bytes = sum(cost.num_bytes for cost in found.layers)
    totals = map(_short, (num_bytes, found.macs, found.bit_operations))
    shown.add_row("all", "", "", "", "", *totals, "", "", "", "")
    return shown


def _cells(cost: LayerCost, longest: int | None) -> list[str]:
    name = cost.layer
    if longest is not None and len(name) > longest:
        name = f"..{name[2 - longest :]}"
    bits = (cost.weight_bits, cost.num_bytes, cost.macs, cost.bit_operations, cost.accumulator_bits)
    return [
        name,
        cost.operation,
        "x".join(map(str, cost.shape)),
        str(cost.input_bits),
        *(_short(number) for number in bits),
        str(cost.headroom) if cost.accumulator_bits else "",
        decibels(cost),
        percent(cost),
    ]


def _short(number: int) -> str:
    """Return a count in at most 5 letters: 999, 12.3k, 4.56M; nothing for none."""
    if number < 1000:
        return str(number) if number else ""
    power = min((len(f"{float(f'{number:.3g}'):.0f}") - 1) // 3, 4)
    value = number / 1000**power
    digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{digits}f}{' kMGT'[power]}"


def _print_totals(found: Report, samples: str) -> None:
    console.print(
        f"{found.num_bytes:,} bytes in its file: tensors, {found.reading_bytes:,} for what the "
        f"codes stand for, {found.header_bytes:,} of header"
    )
    console.print(f"{found.macs:,} MACs, {found.bit_operations:,} bit operations a sample")
    worst, fullest = found.lowest_sqnr, found.lowest_headroom
    if fullest is not None:
        room = f"{fullest.headroom} bits, in {fullest.layer}"
        console.print(f"lowest headroom of 32-bit sums: {room}", markup=False)
    if worst is not None:
        lost = f"{decibels(worst)} dB, in {worst.layer}" if worst.sqnr_db != math.inf else "exact"
        console.print(f"lowest SQNR: {lost}; {samples}", markup=False)
