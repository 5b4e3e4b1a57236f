"""Generated weights beside other ways to small files: CIFAR10/ResNet with 18 layers, on one GPU.

A dense network is trained first, the teacher. Every row learns from it by distillation, the dense
one too, in as many epochs; the rivals have files of at most the bytes of the pack 2-44-3-6-3, or of
`--budget`. What counts is the top-1 on the test photos after the last epoch, of generated weights
that of the reloaded pack.

    python -m benchmarks.generation_accuracy                          all rows that are missing
    python -m benchmarks.generation_accuracy --processes=5 --seconds=500 --epochs=40
    python -m benchmarks.generation_accuracy --rows=dense,svd:1       these, of seeds 0 and 1
    python -m benchmarks.generation_accuracy --list
    python -m benchmarks.generation_accuracy --sweep                  MLG with other bases

The photos are those of problems/CIFAR10/data. Rows lie in `--folder`, each written as soon as it is
there, with their packs and the teacher: what is killed goes on with the rows that are missing, and
within a row from its run's last checkpoint, if problems/CIFAR10/logs has it. Rows of another
teacher, budget or number of epochs are others.
"""

import argparse
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import nn

from benchmarks.generation.allocated import allocated_settings
from benchmarks.generation.coded import coded_bytes, nncodec_bytes
from benchmarks.generation.forms import form
from benchmarks.generation.packed import packed
from benchmarks.generation.picture import Point, picture
from benchmarks.generation.rivals.stored import file_bytes
from benchmarks.generation.rows import PLANS, PUBLISHED, ROWS, SWEEP, Plan, plan, settings_of
from benchmarks.generation.side_by_side import Job, run_side_by_side
from benchmarks.generation.teacher import Teacher, teacher_in, train_teacher
from benchmarks.generation.trained import train, trained_network
from benchmarks.harness import RESULTS, Row, origin, report
from experiments.protocols import Source
from quantlab.errors import UsageError

EPOCHS, LONG = 60, 200
PARTS = RESULTS / "generation_accuracy"
TEACHER = "teacher"


def measure(
    name: str,
    *,
    seed: int,
    epochs: int,
    teacher: Teacher,
    budget: int,
    folder: Path,
    more: Mapping[str, str],
    nncodec: Path | None = None,
    processes: int = 1,
    is_quick: bool = False,
) -> dict[str, Any]:
    """Train a row and return what is measured; its pack lies in the folder then.

    more: further settings of its experiment. nncodec: Python of an environment that has it.
    processes: for what is computed on the CPU before.
    """
    row = plan(name)
    source: Source = "synthetic" if more.get("data.source") == "synthetic" else "auto"
    dense = Path(teacher.checkpoint)
    settings = settings_of(
        name,
        dense=dense,
        identity=teacher.sha256,
        budget=budget,
        epochs=epochs,
        seed=seed,
        allocated=_allocated(row, name, teacher, budget, folder, source, processes),
    )
    settings |= more
    run = train(row.config, settings, is_quick=is_quick)
    network = trained_network(run, row.config, settings)
    others: dict[str, int] = {}
    if row.config == "mlg_train":
        limit = int(more["data.limit_test"]) if "data.limit_test" in more else None
        file = part_of(folder, name, seed, epochs, budget, teacher).with_suffix(".mlgpack")
        num_bytes, top1 = packed(network, file, source=source, limit=limit)
    elif row.rival is None:
        num_bytes, top1 = 4 * sum(p.numel() for p in network.parameters()), run.top1
    else:
        num_bytes, top1 = _bytes_of(row.rival, network), run.top1
        if nncodec is not None and form(row.rival).is_rated:
            others["nncodec_bytes"] = nncodec_bytes(network, nncodec)
    return {
        "row": name,
        "seed": seed,
        "epochs": epochs,
        **({"budget": budget} if row.has_budget else {}),
        "top1": top1,
        "file_bytes": num_bytes,
        **others,
        "trained_top1": run.top1,
        "seconds": run.record["seconds"],
        "captured": run.record["captured"][0],
        "weights_sha256": run.record["weights_sha256"][:16],
        "teacher_top1": teacher.top1,
        "teacher_epochs": teacher.epochs,
        "teacher_sha256": teacher.sha256,
        **origin(),
    }


def _allocated(
    row: Plan,
    name: str,
    teacher: Teacher,
    budget: int,
    folder: Path,
    source: Source,
    processes: int,
) -> dict[str, str] | None:
    """Return the settings that a row's allocation makes, from the folder if they are there."""
    if row.allocated is None:
        return None
    file = folder / f"{name}-{budget}-{teacher.sha256[:8]}.settings.json"
    if not file.exists():
        settings = allocated_settings(
            teacher.network(),
            int(row.room * budget),
            quantizer=row.allocated,
            source=source,
            processes=processes,
        )
        file.write_text(json.dumps(settings), encoding="utf-8")
    found: dict[str, str] = json.loads(file.read_text())
    return found


def _bytes_of(rival: str, network: nn.Module) -> int:
    family = form(rival)
    return coded_bytes(network) if family.is_rated else file_bytes(network, family.bits)


def part_of(folder: Path, name: str, seed: int, epochs: int, budget: int, teacher: Teacher) -> Path:
    """Return the file of a row."""
    within = f"-{budget}" if plan(name).has_budget else ""
    return folder / f"{name}-seed{seed}-{epochs}{within}-{teacher.sha256[:8]}.json"


def budget_in(folder: Path, epochs: int, teacher: Teacher) -> int | None:
    """Return the bytes of the trained pack of the published form, None if it is not there yet."""
    part = part_of(folder, PUBLISHED, 0, epochs, 0, teacher)
    return int(json.loads(part.read_text())["file_bytes"]) if part.exists() else None


def jobs(*, is_sweep: bool = False) -> list[tuple[str, int, int]]:
    """Return all rows as (name, seed, epochs), short ones first; those of the sweep instead."""
    if is_sweep:
        return [("dense", 0, EPOCHS), *((name, 0, EPOCHS) for name in SWEEP)]
    short = [
        (name, seed, EPOCHS)
        for seed in range(max(row.num_seeds for row in PLANS.values()))
        for name, row in PLANS.items()
        if seed < row.num_seeds
    ]
    return [*short, *((name, 0, LONG) for name, row in PLANS.items() if row.long)]


def table(measured: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return the rows of the result; the ratio is of top-1, beside the dense row of as many epochs,
    or the network that it learned from where there is none."""
    dense = {row["epochs"]: row["top1"] for row in measured if row["row"] == "dense"}
    return [
        Row(
            figures={k: v for k, v in row.items() if k not in ("machine", "command")},
            peer="row dense of as many epochs, the ratio is of top1",
            ratio=row["top1"] / dense.get(row["epochs"], row["teacher_top1"]),
            origin={"machine": row["machine"], "command": row["command"]},
        )
        for row in sorted(measured, key=lambda row: (row["epochs"], row["row"], row["seed"]))
    ]


def main() -> None:
    """Measure and report."""
    arguments = _arguments()
    if arguments.list:
        for name, seed, epochs in _asked(arguments):
            print(f"--only={name} --seed={seed} --epochs={epochs}")
        return
    if not torch.cuda.is_available() and not arguments.quick:
        print("generation_accuracy: no GPU here; nothing measured")
        return
    arguments.folder = arguments.folder or (PARTS / "quick" if arguments.quick else PARTS)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    if arguments.only is None:
        _run_all(arguments)
    elif arguments.only == TEACHER:
        _teach(arguments)
    else:
        _measure_one(arguments)


def _asked(arguments: argparse.Namespace) -> list[tuple[str, int, int]]:
    """Return the rows (name, seed, epochs) in their order."""
    if arguments.rows is None:
        lengths = {EPOCHS: arguments.epochs}
        found = jobs(is_sweep=arguments.sweep)
        return [(name, seed, lengths.get(epochs, epochs)) for name, seed, epochs in found]
    rows = [part.partition(":") for part in arguments.rows.split(",")]
    for name, _, seed in rows:
        plan(name)
        if seed and not seed.isdigit():
            raise UsageError(f"--rows: {name}:{seed} given, NAME or NAME:SEED allowed")
    return [(name, int(seed or 0), arguments.epochs) for name, _, seed in rows]


def _run_all(arguments: argparse.Namespace) -> None:
    """Train the teacher, then all rows side by side, in processes of their own."""
    began = time.monotonic()

    def side_by_side(jobs: Sequence[Job]) -> dict[str, int | None]:
        left = arguments.seconds - (time.monotonic() - began)
        return run_side_by_side(
            jobs,
            processes=arguments.processes,
            seconds=left,
            tell=lambda line: print(line, flush=True),
        )

    folder = arguments.folder
    if teacher_in(folder) is None:
        side_by_side([_job(arguments, TEACHER, 0, arguments.teacher_epochs)])
    teacher = teacher_in(folder)
    if teacher is None:
        sys.exit(f"teacher: not there; see {folder / 'teacher.log'}")
    print(f"teacher: top-1 {teacher.top1:.2f} % after {teacher.epochs} epochs", flush=True)
    side_by_side(
        [
            _job(arguments, name, seed, epochs)
            for name, seed, epochs in _asked(arguments)
            if not _is_there(arguments, name, seed, epochs, teacher)
        ]
    )
    _report(folder, teacher)


def _is_there(
    arguments: argparse.Namespace, name: str, seed: int, epochs: int, teacher: Teacher
) -> bool:
    budget = _budget(arguments, epochs, teacher) or 0
    return part_of(arguments.folder, name, seed, epochs, budget, teacher).exists()


def _job(arguments: argparse.Namespace, name: str, seed: int, epochs: int) -> Job:
    """Return a row, or the teacher, as a process. A row with a budget waits until it is known."""
    options = [f"--only={name}", f"--seed={seed}", f"--epochs={epochs}"]
    options += [f"--folder={arguments.folder}", f"--processes={arguments.processes}"]
    options += [f"--set={setting}" for setting in arguments.set]
    options += ["--quick"] if arguments.quick else []
    options += [] if arguments.budget is None else [f"--budget={arguments.budget}"]
    options += [] if arguments.nncodec is None else [f"--nncodec={arguments.nncodec}"]

    def is_ready() -> bool:
        teacher = teacher_in(arguments.folder)
        needs = name != TEACHER and plan(name).has_budget
        return not needs or (
            teacher is not None and _budget(arguments, epochs, teacher) is not None
        )

    return Job(
        name=name if name == TEACHER else f"{name}, seed {seed}, {epochs} epochs",
        line=[sys.executable, "-m", "benchmarks.generation_accuracy", *options],
        log=arguments.folder / (f"{TEACHER}.log" if name == TEACHER else f"{name}-{seed}.log"),
        is_ready=is_ready,
    )


def _budget(arguments: argparse.Namespace, epochs: int, teacher: Teacher) -> int | None:
    """Return the bytes of rivals' files: as given, or of the pack of as many epochs."""
    given: int | None = arguments.budget
    return given if given is not None else budget_in(arguments.folder, epochs, teacher)


def _report(folder: Path, teacher: Teacher) -> None:
    """Write the results and the pictures of all rows with this teacher."""
    paths = sorted(folder.glob(f"*-seed*-{teacher.sha256[:8]}.json"))
    measured = [json.loads(path.read_text()) for path in paths]
    if not measured:
        return
    report("generation_accuracy", table(measured))
    for name, rows in (("generation_accuracy", PLANS), ("generation_bases", SWEEP)):
        points = points_of([row for row in measured if row["row"] in rows])
        if points:
            drawn = picture("Top-1 on the test photos over the bytes of the file", points)
            (RESULTS / f"{name}.svg").write_text(drawn, encoding="utf-8")


def points_of(measured: Sequence[Mapping[str, Any]]) -> list[Point]:
    """Return a point for each row and its number of epochs, the mean over its seeds."""
    groups: dict[tuple[str, int], list[Mapping[str, Any]]] = defaultdict(list)
    for row in measured:
        groups[row["row"], row["epochs"]].append(row)
    return [
        Point(
            name=name,
            kind=f"{'rivals' if plan(name).rival else plan(name).config}, {epochs} epochs",
            num_bytes=mean(row["file_bytes"] for row in rows),
            top1=mean(row["top1"] for row in rows),
        )
        for (name, epochs), rows in groups.items()
    ]


def _measure_one(arguments: argparse.Namespace) -> None:
    teacher = teacher_in(arguments.folder)
    if teacher is None:
        raise UsageError(f"--folder: {arguments.folder} has no teacher; --only=teacher makes one")
    budget = _budget(arguments, arguments.epochs, teacher)
    if budget is None and plan(arguments.only).has_budget:
        raise UsageError(f"--budget: none given, and no row {PUBLISHED} in {arguments.folder}")
    measured = measure(
        arguments.only,
        seed=arguments.seed,
        epochs=arguments.epochs,
        teacher=teacher,
        budget=budget or 0,
        folder=arguments.folder,
        more=_more(arguments),
        nncodec=arguments.nncodec,
        processes=_cores(),
        is_quick=arguments.quick,
    )
    print(json.dumps({k: v for k, v in measured.items() if k != "machine"}), flush=True)
    place = (arguments.only, arguments.seed, arguments.epochs, budget or 0, teacher)
    part_of(arguments.folder, *place).write_text(json.dumps(measured), encoding="utf-8")


def _teach(arguments: argparse.Namespace) -> None:
    train_teacher(arguments.folder, arguments.epochs, _more(arguments), is_quick=arguments.quick)


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _more(arguments: argparse.Namespace) -> dict[str, str]:
    """Return further settings of all runs."""
    return dict(part.split("=", 1) for part in arguments.set)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    add = parser.add_argument
    add("--list", action="store_true", help="say which rows there are")
    add("--sweep", action="store_true", help="other bases with floats, instead of the rows")
    add("--rows", metavar="NAME[:SEED],...", help="these rows in this order, instead of all")
    add("--folder", type=Path, help="of the rows, their packs and the teacher")
    add("--processes", type=int, default=1, help="rows that are trained side by side")
    add("--seconds", type=float, default=float("inf"), help="after which all rows are interrupted")
    add("--only", choices=[TEACHER, *ROWS], metavar="NAME", help="one row, in this process")
    add("--seed", type=int, default=0, help="of that row")
    add("--epochs", type=int, default=EPOCHS, help="of the rows but for the long ones")
    add("--teacher-epochs", type=int, default=EPOCHS, help="of a new teacher")
    add("--budget", type=int, help="bytes of a rival's file instead of those of the pack")
    add("--nncodec", type=Path, metavar="PYTHON", help="of an environment that has nncodec")
    add("--quick", action="store_true", help="a few steps, to see that it runs, on a CPU too")
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of all runs")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except UsageError as error:
        sys.exit(f"generation_accuracy: {error}")
