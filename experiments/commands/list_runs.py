"""`main.py list`: the runs, as a table or as JSON."""

from collections.abc import Iterator
from typing import Any

from rich.markup import escape
from rich.table import Column, Table

from experiments.command_line import Invocation
from experiments.library import LOGS, problem_folder, problem_names
from experiments.progress import console, duration, error_console, show
from experiments.runs.files import as_json
from experiments.runs.folder import RunFolder, is_compression, list_runs, records
from quantlab.errors import QuantLabError


def run(invocation: Invocation) -> int:
    """Print the records of all runs, oldest first."""
    found = [
        record
        for record in records(all_runs(invocation.options.get("problem")), _complain)
        if record["topology"] == invocation.options.get("topology", record["topology"])
    ]
    if invocation.has("json"):
        console.print(as_json(found, indent=2), markup=False, soft_wrap=True)
        return 0
    table = Table(
        Column("run", no_wrap=True), "topology", "name", "status", "test", "time", "launcher"
    )
    for record in found:
        table.add_row(*map(escape, _row(record)))
    show(table)
    return 0


def _complain(error: QuantLabError) -> None:
    error_console.print(f"main.py: {error}", markup=False)


def all_runs(problem: str | None) -> list[RunFolder]:
    """Return the runs of one problem, or of all."""
    names = problem_names() if problem is None else [problem]
    return [run for name in names for run in list_runs(name, problem_folder(name) / LOGS)]


def _row(record: dict[str, Any]) -> list[str]:
    experiment = record["config"].get("experiment", {})
    target = "top1" if is_compression(record) else experiment.get("target", "")
    value = record["metrics"].get(f"test/{target}")
    remarks = ", ".join(_remarks(record))
    return [
        record["id"],
        record["topology"],
        record["name"],
        record["status"],
        " ".join(
            ([] if value is None else [f"{target} {value:.4g}"])
            + ([f"({remarks})"] if remarks else [])
        ),
        duration(record["seconds"]),
        f"{record['launcher']} x{record['world_size']}",
    ]


def _remarks(record: dict[str, Any]) -> Iterator[str]:
    """Yield what a compression came to, and why the test metric is not what others are."""
    if is_compression(record):
        flash = record["metrics"].get("flash")
        yield f"compresses {record['parent']}" + ("" if flash is None else f", {flash:,} bytes")
    if record["data"].startswith("synthetic"):
        yield "synthetic"
    limit = record["config"].get("data", {}).get("limit_test")
    if record.get("quick"):
        yield "quick"
    elif limit is not None:
        yield f"{limit:,} samples"
