"""A data set on disk, in a module that worker processes can import."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from quantlab.errors import DataError

NUM_DRAWS = 2


@dataclass(frozen=True, kw_only=True)
class Tiles:
    """Files of four bytes each; fulfils `OnDisk`."""

    folder: Path
    targets: Tensor
    classes: Sequence[str] = ("even", "odd")

    def __len__(self) -> int:
        return len(self.targets)

    def read(self, index: int) -> bytes:
        content = (self.folder / f"{index}.tile").read_bytes()
        if len(content) != 4:
            raise DataError(f"{self.folder / f'{index}.tile'}: {len(content)} bytes; expected 4")
        return content


def write_tiles(folder: Path, count: int) -> Tiles:
    """Write `count` tiles, tile i of the bytes i."""
    for index in range(count):
        (folder / f"{index}.tile").write_bytes(bytes([index] * 4))
    return Tiles(folder=folder, targets=torch.arange(count) % 2)


def read_train(sample: bytes, draws_K: Sequence[float]) -> Tensor:
    return torch.tensor(list(sample), dtype=torch.float64) + draws_K[0]


def read_evaluate(sample: bytes) -> Tensor:
    return torch.tensor(list(sample), dtype=torch.float64)


def train(inputs: Tensor, draws_NK: Tensor) -> Tensor:
    return inputs + 100.0 * draws_NK[:, 1:]


def evaluate(inputs: Tensor) -> Tensor:
    return inputs


@dataclass(frozen=True, kw_only=True)
class TornTiles(Tiles):
    """Tiles whose reader fails on one of them, as decoders do."""

    torn: int
    error: type[Exception] = KeyError

    def read(self, index: int) -> bytes:
        if index == self.torn:
            raise self.error("no such part\nin this tile")
        return super().read(index)
