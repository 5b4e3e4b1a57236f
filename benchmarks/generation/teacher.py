"""The dense network that all rows learn from: a file of 16-bit weights beside the rows, which is
small enough to take along to another machine."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.generation.forms import resnet18
from benchmarks.generation.rows import COMMON, OPTIMIZERS
from benchmarks.generation.tested import photos_of, top1_of
from benchmarks.generation.trained import network_state, train
from experiments.protocols import Source
from quantlab.numerics.digest import weights_sha256

_NUM_DIGITS = 16


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """top1: on the test photos, of the rounded weights. sha256: of these, the first digits."""

    checkpoint: str
    top1: float
    epochs: int
    sha256: str

    def network(self) -> nn.Module:
        """Return the network."""
        network = resnet18()
        saved = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        network.load_state_dict(saved["network"])
        return network


def teacher_in(folder: Path) -> Teacher | None:
    """Return the teacher in a folder, None if it was not trained to the end."""
    note = folder / "teacher.json"
    if not note.exists():
        return None
    return Teacher(**{**json.loads(note.read_text()), "checkpoint": str(folder / "teacher.pt")})


def train_teacher(
    folder: Path, epochs: int, more: Mapping[str, str], *, is_quick: bool = False
) -> Teacher:
    """Train the dense network and keep it in a folder."""
    settings = {
        **COMMON,
        **OPTIMIZERS["sgd"],
        "experiment.name": "generation-teacher",
        "experiment.epochs": str(epochs),
        **more,
    }
    run = train("mlg_pretrain", settings, is_quick=is_quick)
    state = {name: _halved(tensor) for name, tensor in network_state(run).items()}
    network = resnet18()
    network.load_state_dict(state)
    source: Source = "synthetic" if more.get("data.source") == "synthetic" else "auto"
    device = "cuda" if torch.cuda.is_available() else "cpu"
    photos = photos_of(source, int(more["data.limit_test"]) if "data.limit_test" in more else None)
    top1 = top1_of(network.eval().to(device), *photos)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"network": state}, folder / "teacher.pt")
    teacher = Teacher(
        checkpoint=str(folder / "teacher.pt"),
        top1=top1,
        epochs=epochs,
        sha256=weights_sha256(network.cpu().state_dict())[:_NUM_DIGITS],
    )
    (folder / "teacher.json").write_text(json.dumps(asdict(teacher)), encoding="utf-8")
    return teacher


def _halved(tensor: Tensor) -> Tensor:
    """Return weights in 16 bits, what batch norms have as it is."""
    return tensor.half() if tensor.ndim > 1 else tensor
