"""SHA-256 of what the tests' networks are deployed as, and of a short run's weights and checkpoint.

    python -m tests.models.hashes

Whatever moves code alone leaves every line as it is. The run trains LeNet with 4 bits on synthetic
digits, two epochs, on one thread.
"""

import hashlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from experiments.runs.files import read_json
from problems.images.normalize import CIFAR10, MNIST, Normalization, normalize
from quantlab.deploy.onnx.exact import exact_model
from quantlab.deploy.onnx.qdq import qdq_model
from quantlab.integer.file import to_bytes
from quantlab.integer.lower import InputSpec, lower
from quantlab.integer.program import Program
from tests.lab import make_lab
from tests.models import stored

NETWORKS: dict[str, tuple[tuple[int, int, int], Normalization]] = {
    "lenet_w4a4": ((1, 28, 28), MNIST),
    "resnet20_w4a4": ((3, 32, 32), CIFAR10),
}
RUN = (
    *("--problem=MNIST", "--topology=LeNet", "--config=w4a4", "--data.source=synthetic"),
    *("--experiment.epochs=2", "--experiment.threads=1"),
)


def lowered(name: str) -> Program:
    """Return a network as a program."""
    shape, normalization = NETWORKS[name]
    random = np.random.default_rng(0)
    raw = torch.from_numpy(random.integers(0, 256, (64, *shape), np.uint8))
    spec = InputSpec(shape=shape, scale=normalization.scale, zero_point=normalization.zero_point)
    return lower(stored.network(name), spec, normalize(raw, normalization))


def artefacts(name: str) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a network."""
    program = lowered(name)
    yield "program.qlp", to_bytes(program)
    yield "exact.onnx", exact_model(program).SerializeToString(deterministic=True)
    yield "qdq.onnx", qdq_model(program).SerializeToString(deterministic=True)


def tensors(value: Any, path: str = "") -> Iterator[tuple[str, bytes]]:
    """Yield the tensors within a checkpoint, by path."""
    if isinstance(value, Tensor):
        numbers = value.detach().cpu().contiguous().flatten().view(torch.uint8)
        yield path, f"{value.dtype}{list(value.shape)}".encode() + numbers.numpy().tobytes()
    elif isinstance(value, dict):
        for key in sorted(value, key=str):
            yield from tensors(value[key], f"{path}/{key}")
    elif isinstance(value, list | tuple):
        for number, one in enumerate(value):
            yield from tensors(one, f"{path}/{number}")


def run_hashes(home: Path) -> Iterator[tuple[str, str]]:
    """Yield the hash of a run's weights as its record has it, and of its checkpoint's tensors."""
    lab = make_lab(home)
    done = lab.run(*RUN)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    folder = lab.problems / "MNIST" / "logs" / "exp000"
    found = hashlib.sha256()
    checkpoint = torch.load(folder / "fold0" / "saves" / "last.ckpt", weights_only=True)
    for path, data in tensors(checkpoint):
        found.update(path.encode() + b"\0" + data)
    yield "weights_sha256", read_json(folder / "run.json")["weights_sha256"]
    yield "last.ckpt", found.hexdigest()


def main() -> None:
    """Print a line each."""
    for name in NETWORKS:
        for file, data in artefacts(name):
            sys.stdout.write(f"{hashlib.sha256(data).hexdigest()}  {name} {file}\n")
    with tempfile.TemporaryDirectory() as home:
        for what, sha256 in run_hashes(Path(home) / "lab"):
            sys.stdout.write(f"{sha256}  run {what}\n")


if __name__ == "__main__":
    main()
