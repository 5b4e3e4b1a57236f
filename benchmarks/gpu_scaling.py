"""Training on several GPUs of one host under horovodrun, beside the same on one.

CIFAR10/ResNet with 18 layers as in `gpu_training`, batch 512 per GPU, gradients summed by NCCL.
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

from benchmarks.gpu_training import EPOCHS, REPEATS, experiment, our_trainer
from benchmarks.harness import Row, report


def measure(file: Path) -> None:
    """Measure the processes of this run together; rank 0 writes the images per second."""
    subject = experiment()
    with tempfile.TemporaryDirectory() as folder:
        run = our_trainer(subject, Path(folder))
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


def launch(num_gpus: int) -> float:
    """Return the images per second of so many GPUs."""
    places = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    horovodrun = shutil.which("horovodrun", path=places)
    if horovodrun is None:
        raise SystemExit("gpu_scaling: no horovodrun; build Horovod with: bash cfg/horovod.sh")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "images_per_second.json"
        command = [horovodrun, "-np", str(num_gpus), "-H", f"localhost:{num_gpus}"]
        command += [sys.executable, "-m", "benchmarks.gpu_scaling", str(file)]
        subprocess.run(command, check=True)
        return float(json.loads(file.read_text()))


def main() -> None:
    """Measure and report; with a file as argument, measure one of the runs."""
    if len(sys.argv) > 1:
        measure(Path(sys.argv[1]))
        return
    if torch.cuda.device_count() < 2:
        print(f"gpu_scaling: {torch.cuda.device_count()} GPUs here; nothing measured")
        return
    speeds = {count: launch(count) for count in range(1, torch.cuda.device_count() + 1)}
    rows = [
        Row(
            figures={"gpus": count, "images_per_second": speed, "times_one_gpu": speed / speeds[1]},
            peer="one GPU",
            ratio=speed / speeds[1],
        )
        for count, speed in speeds.items()
    ]
    report("gpu_scaling", rows)


if __name__ == "__main__":
    main()
