"""Training on several GPUs of one host by horovodrun and by torchrun, beside the same on one.

CIFAR10/ResNet with 18 layers as in `gpu_training`, batch 512 per GPU, steps captured, gradients
summed by NCCL. Without horovodrun torchrun alone is measured.
Every number of GPUs is a run of its own, one after the other; what counts is the images per second
of all GPUs together.

    python -m benchmarks.gpu_scaling
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

import torch

from benchmarks.gpu_training import EPOCHS, finished, our_trainer, resnet18
from benchmarks.harness import Row, report
from benchmarks.training import run_of
from experiments.data.loader import place
from experiments.protocols import InMemory

REPEATS = 5


def measure(file: Path) -> None:
    """Measure the processes of this run together; rank 0 writes the images per second."""
    subject = resnet18()
    device = subject.session.device
    train = place(subject.data.train, device)
    assert isinstance(train, InMemory)
    with tempfile.TemporaryDirectory() as folder:
        run = finished(run_of(our_trainer(subject, train, Path(folder))), device)
        run()  # compiles
        times = []
        for _ in range(REPEATS):
            start = perf_counter()
            run()
            times.append(perf_counter() - start)
    images_per_second = EPOCHS * len(subject.data.train) / median(times)
    if subject.session.communicator.is_root:
        file.write_text(json.dumps(images_per_second))
    subject.session.communicator.close()


def commands(count: int) -> dict[str, list[str]]:
    """Return how each launcher that is there starts so many processes."""
    places = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    horovodrun = shutil.which("horovodrun", path=places)
    found = {"torchrun": [sys.executable, "-m", "torch.distributed.run", "--standalone"]}
    found["torchrun"] += [f"--nproc-per-node={count}", "-m"]
    if horovodrun is not None:
        hosts = ["-np", str(count), "-H", f"localhost:{count}"]
        found["horovodrun"] = [horovodrun, *hosts, sys.executable, "-m"]
    return found


def launch(command: list[str]) -> float:
    """Return the images per second of the processes that a command starts."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "images_per_second.json"
        subprocess.run([*command, "benchmarks.gpu_scaling", str(file)], check=True)
        return float(json.loads(file.read_text()))


def main() -> None:
    """Measure and report; with a file as argument, measure one of the runs."""
    if len(sys.argv) > 1:
        measure(Path(sys.argv[1]))
        return
    num_gpus = torch.cuda.device_count()
    if num_gpus < 2:
        print(f"gpu_scaling: {num_gpus} GPUs here; nothing measured")
        return
    if "horovodrun" not in commands(1):
        print("gpu_scaling: no horovodrun; build Horovod with: bash cfg/horovod.sh")
    rows = []
    for launcher in commands(1):
        speeds = {n: launch(commands(n)[launcher]) for n in range(1, num_gpus + 1)}
        rows += [
            Row(
                figures={
                    "launcher": launcher,
                    "gpus": count,
                    "images_per_second": speed,
                    "times_one_gpu": speed / speeds[1],
                },
                peer="one GPU",
                ratio=speed / speeds[1],
            )
            for count, speed in speeds.items()
        ]
    report("gpu_scaling", rows)


if __name__ == "__main__":
    main()
