"""Networks inside ClickHouse: exactness, speed, bytes, and the peers that do without.

    python -m benchmarks.database                         all parts that are missing
    python -m benchmarks.database --only=speed            those whose names begin so
    python -m benchmarks.database --list
    python -m benchmarks.database --quick --only=latency  few images, into a folder of its own

Each part lies in `--folder` as soon as it is done, with the machine and its load: what is killed
goes on with the others. Trained programs are read from `--programs` (NAME.qlp, which `main.py
verify` wrote as program.qlp); those that are not there have random weights, which are made once and
kept there. A part that lacks something, such as a server or a data set, says "not measured".
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks.database.jobs import Job, jobs
from benchmarks.database.workplace import Workplace
from benchmarks.harness import Row, markdown, origin, report
from quantlab.deploy.clickhouse.engines import open_chdb
from quantlab.errors import QuantLabError
from quantlab.files import write_atomically

STORAGE = Path(__file__).resolve().parents[2] / "storage" / "database"
_QUICK_IMAGES, _QUICK_REPEATS = 2, 2


def measure(name: str, job: Job, workplace: Workplace, folder: Path) -> None:
    """Measure a part and keep its rows, unless they are there.

    A part that lacks something has no rows, and is not kept.
    """
    if path_of(name, folder).exists():
        return
    try:
        rows = [replace(row, origin=_origin()) for row in job(workplace)]
    except (QuantLabError, ImportError) as error:
        print(f"{name}: not measured: {error}", flush=True)
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path_of(name, folder), json.dumps([asdict(row) for row in rows]).encode())
    print(f"{name}: {len(rows)} rows, load {os.getloadavg()[0]:.1f}", flush=True)


def kept(name: str, folder: Path) -> list[Row]:
    """Return the rows of a part, none where it was not measured."""
    path = path_of(name, folder)
    return [Row(**row) for row in json.loads(path.read_text())] if path.exists() else []


def path_of(name: str, folder: Path) -> Path:
    """Return the file of a part's rows."""
    return folder / f"{name}.json"


def main(arguments: list[str]) -> None:
    """Measure and report."""
    given = _parsed(arguments)
    chosen: Mapping[str, Job] = {
        name: job for name, job in jobs().items() if name.startswith(given.only)
    }
    if given.list or not chosen:
        print("\n".join(jobs()))
        return
    folder: Path = given.folder / ("quick" if given.quick else "rows")
    limits = {"most_images": _QUICK_IMAGES, "repeats": _QUICK_REPEATS} if given.quick else {}
    with open_chdb(given.folder / "chdb", timeout_s=given.seconds) as connection:
        workplace = Workplace(connection=connection, programs=given.programs, **limits)
        for name, job in chosen.items():
            measure(name, job, workplace, folder)
    rows = [row for name in jobs() for row in kept(name, folder)]
    if given.quick:
        print(markdown(rows))
    elif rows:
        report("database", rows)


def _origin() -> dict[str, object]:
    return {**origin(), "command": "python -m benchmarks.database"}


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=STORAGE)
    parser.add_argument("--programs", type=Path, default=STORAGE)
    parser.add_argument("--only", default="")
    parser.add_argument("--seconds", type=float, default=600.0, help="what a query may take")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--quick", action="store_true")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
