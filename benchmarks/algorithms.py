"""What each quantization algorithm costs in accuracy: CIFAR10/ResNet with 18 layers, on GPUs.

A float network is trained with the config `resnet18`. From its last checkpoint every config of
ROWS trains the same number of further epochs, the float one (`finetune`) too; what counts is the
top-1 on the test photos after the final one. No photo is held out.

    python -m benchmarks.algorithms
    python -m benchmarks.algorithms --configs lsq_w4a4 pact_w4a4 --seeds 1

Runs are spread over all GPUs, `--jobs` at a time on each. Rows that stand in the results already
are kept unless their config is named, so that an interrupted measurement goes on where it was.
"""

import argparse
import json
import os
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness import RESULTS, Row, report

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
    """One run. exp_id: of the float run that it starts from."""

    config: str
    seed: int
    epochs: int
    exp_id: int


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
                f"--network.pretrained.exp_id={job.exp_id}",
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
    """Return the rows measured so far."""
    rows: list[dict[str, Any]] = json.loads(file.read_text()) if file.exists() else []
    return rows


def key(row: dict[str, Any]) -> tuple[str, int, int]:
    """Return what tells a row from the others."""
    return row["config"], row["seed"], row["epochs"]


def table(measured: Sequence[dict[str, Any]]) -> list[Row]:
    """Return the rows of the result, each beside the float one of its seed, or of any."""
    floats = {row["seed"]: row["top1"] for row in measured if row["config"] == PEER}
    order = sorted(measured, key=lambda row: (ROWS.index(row["config"]), row["seed"]))
    return [
        Row(
            figures={
                "config": row["config"],
                "seed": row["seed"],
                "top1": row["top1"],
                "float_top1": (peer := floats.get(row["seed"], max(floats.values()))),
                "points_below_float": peer - row["top1"],
                "epochs": row["epochs"],
                "seconds": row["seconds"],
                "weights_sha256": row["weights_sha256"],
            },
            peer=f"config {PEER}, the ratio is of top1",
            ratio=row["top1"] / peer,
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
    exp_id = arguments.exp_id
    if exp_id is None:
        record = train(FLOAT, 0, os.cpu_count() or 1, [])
        exp_id = int(record["id"].rpartition("exp")[2])
        print(f"{FLOAT}: run {exp_id}, top1 {record['metrics']['test/top1']}", flush=True)
    file = RESULTS / "algorithms.partial.json"
    done = {key(row) for row in read_rows(file) if row["config"] not in arguments.configs}
    jobs = [
        Job(config=config, seed=seed, epochs=arguments.epochs, exp_id=exp_id)
        for seed in range(arguments.seeds)
        for config in arguments.configs or ROWS
        if (config, seed, arguments.epochs) not in done
    ]
    run_all(jobs, num_gpus, arguments.jobs, file)
    report("algorithms", table(read_rows(file)))


if __name__ == "__main__":
    main()
