"""What each quantization algorithm costs in accuracy: CIFAR10/ResNet with 18 layers, on GPUs.

A float network is trained with the config `resnet18`. From its last checkpoint every config of
ROWS trains the same number of further epochs, the float one (`finetune`) too; what counts is the
top-1 on the test photos after the final one. No photo is held out.

    python -m benchmarks.algorithms
    python -m benchmarks.algorithms --configs lsq_w4a4 pact_w4a4 --seeds 1

Runs are spread over all GPUs, `--jobs` at a time on each. Rows of the same float run that stand in
the results already are kept, so that an interrupted measurement goes on where it was: give it the
same `--exp_id`. A row is compared with `finetune` from its own float run.
"""

import argparse
import json
import os
import queue
import re
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from benchmarks.harness import RESULTS, Row, origin, report

FLOAT, PEER = "resnet18", "finetune"
ROWS = (
    PEER,
    *("ste_w8a8", "lsq_w8a8"),
    *("ste_w4a4", "lsq_w4a4", "pact_w4a4", "tqt_w4a4", "dorefa_w4a4"),
    *("lsq_w3a3", "pact_w3a3", "lsq_w2a2", "pact_w2a2"),
    *("inq", "rpr", "ana", "twn", "binary"),
)
PROBLEM = ("--problem=CIFAR10", "--topology=ResNet")
CHECKOUT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run."""

    config: str
    seed: int
    epochs: int
    start: "Start"


@dataclass(frozen=True, kw_only=True)
class Start:
    """The float run that others start from. top1: its percentage; weights: their hash."""

    exp_id: int
    top1: float
    weights: str


def train(config: str, gpu: int, threads: int, settings: Sequence[str]) -> dict[str, Any]:
    """Run one training to its end; return its run.json. Raises RuntimeError if it fails."""
    command = [sys.executable, "main.py", *PROBLEM, f"--config={config}", *settings]
    command += ["--data.valid_fraction=0", f"--experiment.threads={threads}"]
    done = subprocess.run(
        command,
        cwd=CHECKOUT,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": str(gpu)},
        capture_output=True,
        text=True,
        check=False,
    )
    folder = re.search(r"run folder: (\S+)", done.stdout)
    if done.returncode or folder is None:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()[-2000:]}")
    record: dict[str, Any] = json.loads((CHECKOUT / folder[1] / "run.json").read_text())
    return record


def run_all(jobs: Sequence[Job], num_gpus: int, jobs_per_gpu: int, file: Path) -> None:
    """Run the jobs on all GPUs; each row is written as soon as it is there."""
    waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
    for job in jobs:
        waiting.put(job)
    threads = max(1, (os.cpu_count() or 1) // (num_gpus * jobs_per_gpu))
    lock = threading.Lock()

    def work(gpu: int) -> None:
        while True:
            try:
                job = waiting.get_nowait()
            except queue.Empty:
                return
            settings = [
                f"--network.pretrained.exp_id={job.start.exp_id}",
                f"--experiment.seed={job.seed}",
                f"--experiment.epochs={job.epochs}",
            ]
            try:
                record = train(job.config, gpu, threads, settings)
            except RuntimeError as error:
                print(error, file=sys.stderr, flush=True)
                continue
            row = {
                "config": job.config,
                "seed": job.seed,
                "top1": record["metrics"]["test/top1"],
                "epochs": job.epochs,
                "seconds": record["seconds"],
                "weights_sha256": record["weights_sha256"][:16],
                "start_top1": job.start.top1,
                "start_sha256": job.start.weights,
                **origin(),
            }
            print(json.dumps(row), flush=True)
            with lock:
                kept = [r for r in read_rows(file) if key(r) != key(row)]
                file.write_text(json.dumps([*kept, row]))

    workers = [
        threading.Thread(target=work, args=(gpu,))
        for _ in range(jobs_per_gpu)
        for gpu in range(num_gpus)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def read_rows(file: Path) -> list[dict[str, Any]]:
    """Return the rows measured so far; those of the results where no measurement has begun."""
    source = file if file.exists() else RESULTS / "algorithms.json"
    rows: list[dict[str, Any]] = json.loads(source.read_text()) if source.exists() else []
    return rows


def key(row: dict[str, Any]) -> tuple[str, int, int, str]:
    """Return what tells a row from the others."""
    return row["config"], row["seed"], row["epochs"], row["start_sha256"]


def table(measured: Sequence[dict[str, Any]]) -> list[Row]:
    """Return the rows of the result, each beside the mean of `finetune` from its float run.

    A config stands there with the float run of its last row; `finetune` with all that are beside
    others.
    """
    last = {row["config"]: row["start_sha256"] for row in measured if row["config"] != PEER}
    floats: dict[str, list[float]] = defaultdict(list)
    for row in measured:
        if row["config"] == PEER:
            floats[row["start_sha256"]].append(row["top1"])
    starts = set(last.values())
    kept = [
        row
        for row in measured
        if row["start_sha256"] == last.get(row["config"])
        or (row["config"] == PEER and row["start_sha256"] in starts)
    ]
    order = sorted(
        kept, key=lambda row: (ROWS.index(row["config"]), row["start_sha256"], row["seed"])
    )
    return [
        Row(
            figures={
                "config": row["config"],
                "seed": row["seed"],
                "top1": row["top1"],
                "float_top1": (peer := mean(floats[row["start_sha256"]])),
                "points_below_float": peer - row["top1"],
                "epochs": row["epochs"],
                "seconds": row["seconds"],
                "weights_sha256": row["weights_sha256"],
                "start_top1": row["start_top1"],
                "start_sha256": row["start_sha256"],
            },
            peer=f"config {PEER}, the ratio is of top1",
            ratio=row["top1"] / peer,
            origin={"machine": row["machine"], "command": row["command"]},
        )
        for row in order
    ]


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--configs", nargs="+", default=[], metavar="NAME", choices=ROWS)
    parser.add_argument("--seeds", type=int, default=1, help="runs of each config")
    parser.add_argument("--epochs", type=int, default=30, help="further epochs of each run")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time on each GPU")
    parser.add_argument("--exp_id", type=int, help="the float run, if it is there already")
    arguments = parser.parse_args()
    num_gpus = torch.cuda.device_count()
    if not num_gpus:
        print("algorithms: no GPU here; nothing measured")
        return
    start = _start(arguments.exp_id)
    print(f"{FLOAT}: {start}", flush=True)
    file = RESULTS / "algorithms.partial.json"
    done = {key(row) for row in read_rows(file)}
    jobs = [
        Job(config=config, seed=seed, epochs=arguments.epochs, start=start)
        for seed in range(arguments.seeds)
        for config in arguments.configs or ROWS
        if (config, seed, arguments.epochs, start.weights) not in done
    ]
    run_all(jobs, num_gpus, arguments.jobs, file)
    report("algorithms", table(read_rows(file)))


def _start(exp_id: int | None) -> Start:
    """Return the float run of that number; None: train it."""
    if exp_id is None:
        record = train(FLOAT, 0, os.cpu_count() or 1, [])
    else:
        path = CHECKOUT / f"problems/CIFAR10/logs/exp{exp_id:03d}/run.json"
        record = json.loads(path.read_text())
    return Start(
        exp_id=int(record["id"].rpartition("exp")[2]),
        top1=record["metrics"]["test/top1"],
        weights=record["weights_sha256"][:16],
    )


if __name__ == "__main__":
    main()
