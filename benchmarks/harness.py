"""Side-by-side measurements: every benchmark in this folder is written with it.

The sides of a comparison take turns in one process, so that whatever else the machine does falls on
all of them; what counts is the ratio of their times. Results go to `results/<name>.json`, a list of
rows, each with its figures, its peer and ratio, the machine and the command. Run from the root:

    python -m benchmarks.packing
"""

import json
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.markdown import Markdown

from quantlab import backend

RESULTS = Path(__file__).parent / "results"

Figure = str | int | float


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where and under which load something was measured.

    isa, torch_isa: the instruction sets of our kernels and of torch's; `QUANTLAB_ISA` bounds the
    one, `ATEN_CPU_CAPABILITY` and `ONEDNN_MAX_CPU_ISA` the other. load_average: of the last minute.
    """

    cpu: str
    num_cores: int
    isa: str
    torch_isa: str
    gpu: str | None
    load_average: float
    python: str
    numpy: str
    torch: str


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Times of one side. seconds: the median; ratio: median of first side's time / own time, so
    that more than 1 is faster than the first side."""

    seconds: float
    fastest: float
    ratio: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a result. figures: what identifies it and what was measured, in table order.

    ratio: `peer`'s time / own time, more than 1 is faster than the peer, unless `figures` say
    otherwise. origin: the machine and the command of a row that was measured before.
    """

    figures: Mapping[str, Figure]
    peer: str
    ratio: float
    origin: Mapping[str, Any] | None = None


def interleaved(
    sides: Mapping[str, Callable[[], object]],
    repeats: int,
    *,
    seconds: float = 0.0,
    clock: Callable[[], float] = perf_counter,
) -> dict[str, Timing]:
    """Time all sides in turn, `repeats` times; the first side is the peer of the others.

    Each turn calls a side as often as makes up `seconds` (at least once), so that short calls are
    measured above the clock's resolution. The order is reversed in every other turn. Ratios are
    formed within a turn before their median is taken. Where all sides work on the calling thread
    alone, `clock=time.thread_time` leaves out the time that other programs took from it.
    """
    if repeats < 1 or not sides:
        raise ValueError(
            f"interleaved: {len(sides)} sides, {repeats} repeats; allowed are 1 or more"
        )
    num_calls = {name: _calls_within(seconds, call, clock) for name, call in sides.items()}
    times: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(repeats):
        names = list(sides) if turn % 2 == 0 else list(sides)[::-1]
        for name in names:
            times[name].append(_time(sides[name], num_calls[name], clock))
    peer = times[next(iter(sides))]
    return {
        name: Timing(
            seconds=median(own),
            fastest=min(own),
            ratio=median(theirs / mine for theirs, mine in zip(peer, own, strict=True)),
        )
        for name, own in times.items()
    }


def machine() -> Machine:
    """Describe this machine and its load now."""
    return Machine(
        cpu=_cpu_model(),
        num_cores=os.cpu_count() or 1,
        isa=backend.isa(),
        torch_isa=_torch_isa(),
        gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        load_average=round(os.getloadavg()[0], 2),
        python=platform.python_version(),
        numpy=np.__version__,
        torch=torch.__version__,
    )


def origin() -> dict[str, Any]:
    """Return the machine and the command of a row that is measured now."""
    command = f"python -m benchmarks.{Path(sys.argv[0]).stem}" + "".join(
        f" {argument}" for argument in sys.argv[1:]
    )
    return {"machine": asdict(machine()), "command": command}


def write_rows(name: str, rows: Sequence[Row], *, folder: Path = RESULTS) -> Path:
    """Write `<folder>/<name>.json`: one row a line, each complete by itself."""
    here = origin()
    lines = [
        json.dumps(
            {
                **{key: rounded(value) for key, value in row.figures.items()},
                "peer": row.peer,
                "ratio": rounded(row.ratio),
                **(here if row.origin is None else row.origin),
            }
        )
        for row in rows
    ]
    path = folder / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n")
    return path


def markdown(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table; columns are the figures of the first row, empty where
    another row has no such figure."""
    columns = [*rows[0].figures, "peer", "ratio"]
    lines: list[list[str]] = [columns, ["---"] * len(columns)]
    for row in rows:
        cells = {**row.figures, "peer": row.peer, "ratio": row.ratio}
        lines.append([str(rounded(cells.get(column, ""))) for column in columns])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def report(name: str, rows: Sequence[Row]) -> None:
    """Write the rows to `results/<name>.json`; print them, as Markdown unless to a terminal."""
    path = write_rows(name, rows)
    console = Console()
    if console.is_terminal:
        console.print(Markdown(markdown(rows)))
    else:
        print(markdown(rows))
    print(f"{len(rows)} rows in {path}")


def rounded(value: Figure) -> Figure:
    """Return a float with four significant digits; other figures as they are."""
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _time(call: Callable[[], object], num_calls: int, clock: Callable[[], float]) -> float:
    start = clock()
    for _ in range(num_calls):
        call()
    return (clock() - start) / num_calls


def _calls_within(seconds: float, call: Callable[[], object], clock: Callable[[], float]) -> int:
    _time(call, 1, clock)  # first calls build caches and touch pages
    if not seconds:
        return 1
    return max(1, round(seconds / max(_time(call, 1, clock), 1e-9)))


def by_isa(name: str) -> str:
    """Return the name of a result, `name_avx2` where our kernels are those of AVX2."""
    return f"{name}_avx2" if backend.isa() == "avx2" else name


def _torch_isa() -> str:
    bound = os.environ.get("ONEDNN_MAX_CPU_ISA", "").lower()
    return torch.backends.cpu.get_cpu_capability().lower() + (f", onednn {bound}" if bound else "")


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
