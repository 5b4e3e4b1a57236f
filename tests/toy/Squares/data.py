"""Images with one or two squares, and their boxes."""

from pathlib import Path

import torch

from experiments.protocols import Data, InMemory, Source
from problems.boxes.meter import NO_CLASS

CLASSES = ("dark", "bright")
_PIXELS = (10, 240)  # of a square of each class; the ground is 128
_SIDE, _CELL = 16, 8


def load(folder: Path, source: Source) -> Data:
    """Return 60 images to train and 20 to test."""
    return Data(train=squares(60, 1), test=squares(20, 2), source="synthetic squares")


def fetch(folder: Path) -> str:
    """Say what there is."""
    return "Squares: made up when they are loaded"


def squares(count: int, seed: int) -> InMemory:
    """Return images `[count, 1, 16, 16]` and boxes `[count, 2, 5]`, each square 8 x 8 pixels in a
    quarter of its own."""
    random = torch.Generator().manual_seed(seed)
    inputs = torch.full((count, 1, _SIDE, _SIDE), 128, dtype=torch.uint8)
    targets = torch.zeros(count, 2, 5)
    targets[..., 4] = NO_CLASS
    for image, boxes in zip(inputs[:, 0], targets, strict=True):
        quarters = torch.randperm(4, generator=random)[
            : 1 + int(torch.rand(1, generator=random) * 2)
        ]
        for place, quarter in enumerate(quarters.tolist()):
            top, left = quarter // 2 * _CELL, quarter % 2 * _CELL
            kind = int(torch.randint(2, (1,), generator=random))
            image[top : top + _CELL, left : left + _CELL] = _PIXELS[kind]
            boxes[place] = torch.tensor([left, top, left + _CELL, top + _CELL, kind])
    return InMemory(inputs=inputs, targets=targets, classes=CLASSES)
