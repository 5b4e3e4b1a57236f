"""Generated weights beside other ways to small files: CIFAR10/ResNet with 18 layers, on one GPU.

A dense network is trained first. Every row learns from it by distillation, the dense one too, in as
many epochs; the rivals have files of at most `--budget` bytes. What counts is the top-1 on the test
photos after the last epoch, of generated weights that of the reloaded pack.

    python -m benchmarks.generation_accuracy                          all rows that are missing
    python -m benchmarks.generation_accuracy --only=bsconv --seed=0 --epochs=60 --teacher=7
    python -m benchmarks.generation_accuracy --list
    python -m benchmarks.generation_accuracy --sweep                  MLG with other bases

The photos are those of problems/CIFAR10/data. Each row is written as soon as it is there, so that
what is killed goes on with the next row; rows of another dense network, budget or number of epochs
are others.
"""

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import nn

from benchmarks.generation.coded import coded_bytes, nncodec_bytes
from benchmarks.generation.forms import form
from benchmarks.generation.packed import packed
from benchmarks.generation.picture import Point, picture
from benchmarks.generation.rivals.stored import file_bytes
from benchmarks.generation.rows import COMMON, OPTIMIZERS, PLANS, ROWS, SWEEP, plan, settings_of
from benchmarks.generation.trained import Run, run_of, train, train_here, trained_network
from benchmarks.harness import RESULTS, Row, origin, report
from experiments.protocols import Source

# Of 2-44-3-6-3 by the published formula, 350.0 KiB.
BUDGET = 358_400
EPOCHS, LONG = 60, 200
PARTS = RESULTS / "generation_accuracy"


def measure(
    name: str,
    *,
    seed: int,
    epochs: int,
    teacher: Run,
    budget: int,
    more: Mapping[str, str],
    nncodec: Path | None = None,
    is_quick: bool = False,
) -> dict[str, Any]:
    """Train a row and return what is measured.

    more: further settings of its experiment. nncodec: Python of an environment that has it.
    """
    row = plan(name)
    source: Source = "synthetic" if more.get("data.source") == "synthetic" else "auto"
    settings = settings_of(
        name,
        teacher=teacher.exp_id,
        dense=teacher.checkpoint,
        budget=budget,
        epochs=epochs,
        seed=seed,
        source=source,
    )
    settings |= more
    others: dict[str, int] = {}
    is_ours = row.rival is not None or row.has_own_loss
    run = (train_here if is_ours else train)(row.config, settings, is_quick=is_quick)
    network = trained_network(run, row.config, settings)
    if row.config == "mlg_train":
        limit = int(more["data.limit_test"]) if "data.limit_test" in more else None
        file = run.folder / "network.mlgpack"
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
        "budget": budget,
        "top1": top1,
        "file_bytes": num_bytes,
        **others,
        "trained_top1": run.top1,
        "seconds": run.record["seconds"],
        "weights_sha256": run.record["weights_sha256"][:16],
        "teacher_top1": teacher.top1,
        "teacher_sha256": teacher.record["weights_sha256"][:16],
        **origin(),
    }


def _bytes_of(rival: str, network: nn.Module) -> int:
    family = form(rival)
    return coded_bytes(network) if family.is_rated else file_bytes(network, family.bits)


def train_teacher(epochs: int, more: Mapping[str, str], *, is_quick: bool) -> Run:
    """Train the dense network that all rows learn from."""
    settings = {
        **COMMON,
        **OPTIMIZERS["sgd"],
        "experiment.name": "generation-teacher",
        "experiment.epochs": str(epochs),
        **more,
    }
    return train("mlg_pretrain", settings, is_quick=is_quick)


def part_of(name: str, seed: int, epochs: int, budget: int, teacher: Run) -> Path:
    """Return the file of a row."""
    digest = teacher.record["weights_sha256"][:8]
    return PARTS / f"{name}-seed{seed}-{epochs}-{budget}-{digest}.json"


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
        for name, seed, epochs in jobs(is_sweep=arguments.sweep):
            print(f"--only={name} --seed={seed} --epochs={epochs}")
        return
    if not torch.cuda.is_available() and arguments.only is None:
        print("generation_accuracy: no GPU here; nothing measured")
        return
    more = dict(part.split("=", 1) for part in arguments.set)
    teacher = _teacher(arguments, more)
    print(f"teacher: exp{teacher.exp_id:03d}, top-1 {teacher.top1:.2f} %", flush=True)
    if arguments.only is not None:
        _measure_one(arguments, teacher, more)
        return
    for name, seed, epochs in jobs(is_sweep=arguments.sweep):
        if part_of(name, seed, epochs, arguments.budget, teacher).exists():
            continue
        options = [f"--only={name}", f"--seed={seed}", f"--epochs={epochs}"]
        options += [f"--teacher={teacher.exp_id}", f"--budget={arguments.budget}"]
        options += [f"--set={name}={value}" for name, value in more.items()]
        options += [] if arguments.nncodec is None else [f"--nncodec={arguments.nncodec}"]
        line = [sys.executable, "-m", "benchmarks.generation_accuracy", *options]
        if subprocess.run(line, check=False).returncode:
            print(f"{name}, seed {seed}, {epochs} epochs: failed", file=sys.stderr, flush=True)
    _report(arguments.budget, teacher)


def _report(budget: int, teacher: Run) -> None:
    """Write the results and the pictures of all rows with this budget and teacher."""
    digest = teacher.record["weights_sha256"][:8]
    paths = sorted(PARTS.glob(f"*-{budget}-{digest}.json"))
    measured = [json.loads(path.read_text()) for path in paths]
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


def _measure_one(arguments: argparse.Namespace, teacher: Run, more: Mapping[str, str]) -> None:
    measured = measure(
        arguments.only,
        seed=arguments.seed,
        epochs=arguments.epochs,
        teacher=teacher,
        budget=arguments.budget,
        more=more,
        nncodec=arguments.nncodec,
        is_quick=arguments.quick,
    )
    print(json.dumps({k: v for k, v in measured.items() if k != "machine"}), flush=True)
    if not arguments.quick:  # a quick row says that it goes through, no more
        path = part_of(arguments.only, arguments.seed, arguments.epochs, arguments.budget, teacher)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(measured), encoding="utf-8")


def _teacher(arguments: argparse.Namespace, more: Mapping[str, str]) -> Run:
    """Return the dense run: the one that was named, else the last one's, else a new one."""
    note = PARTS / "teacher.txt"
    if arguments.teacher is not None:
        return run_of(arguments.teacher)
    if note.exists() and not arguments.quick:
        return run_of(int(note.read_text()))
    run = train_teacher(arguments.teacher_epochs, more, is_quick=arguments.quick)
    if not arguments.quick:
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(str(run.exp_id), encoding="utf-8")
    return run


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    add = parser.add_argument
    add("--list", action="store_true", help="say which rows there are")
    add("--sweep", action="store_true", help="other bases with floats, instead of the rows")
    add("--only", choices=ROWS, metavar="NAME", help="one row")
    add("--seed", type=int, default=0, help="of that row")
    add("--epochs", type=int, default=EPOCHS, help="of that row")
    parser.add_argument(
        "--teacher", type=int, metavar="EXP_ID", help="the dense run, if it is there"
    )
    add("--teacher-epochs", type=int, default=EPOCHS, help="of a new dense run")
    add("--budget", type=int, default=BUDGET, help="bytes of a rival's file")
    add("--nncodec", type=Path, metavar="PYTHON", help="of an environment that has nncodec")
    add("--quick", action="store_true", help="a few steps, to see that it runs")
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of all runs")
    return parser.parse_args()


if __name__ == "__main__":
    main()
