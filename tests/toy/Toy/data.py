"""Patches of 6 x 6 pixels in four classes; small enough to train in a test."""

from pathlib import Path

import torch

from experiments.protocols import Data, InMemory, Source
from quantlab.errors import DataError

CLASSES = ("north", "east", "south", "west")


def load(folder: Path, source: Source) -> Data:
    """Return 60 patches to train and 25 to test. `auto` leaves a file, without which there is
    nothing in the folder. Raises DataError."""
    if source == "auto":
        fetch(folder)
    if source == "folder" and not _file(folder).exists():
        raise DataError(f"Toy: {folder} lacks {_file(folder).name}")
    return Data(train=patches(60, seed=1), test=patches(25, seed=2), source="synthetic patches")


def fetch(folder: Path) -> str:
    """Put the file into the folder."""
    _file(folder).write_text("patches")
    return f"Toy: patches in {folder}"


def _file(folder: Path) -> Path:
    return folder / "patches.txt"


def patches(count: int, seed: int) -> InMemory:
    """Return patches uint8 `[count, 1, 6, 6]`, bright on the side of their class."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randint(0, 120, (count, 1, 6, 6), generator=generator, dtype=torch.uint8)
    targets = torch.randint(0, len(CLASSES), (count,), generator=generator)
    for image, target in zip(inputs, targets.tolist(), strict=True):
        image.rot90(target, (1, 2))[:, :2] += 70
    return InMemory(inputs=inputs, targets=targets, classes=CLASSES)
