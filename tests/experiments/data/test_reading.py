"""Samples that cannot be read are named, in the process that reads or in a worker."""

from pathlib import Path

import pytest
import torch

import tests.toy.tiles as preprocess
from experiments.data.loader import Loader
from experiments.data.plan import Plan
from experiments.data.reading import read_batch
from experiments.protocols import Dataset
from quantlab.errors import DataError
from tests.toy.tiles import TornTiles, read_evaluate, write_tiles


def torn(folder: Path, error: type[Exception] = KeyError) -> TornTiles:
    tiles = write_tiles(folder, 6)
    return TornTiles(folder=folder, targets=tiles.targets, torn=4, error=error)


def load(dataset: Dataset, workers: int) -> None:
    loader = Loader(
        dataset,
        torch.arange(len(dataset)),
        preprocess=preprocess,
        plan=Plan(num_samples=len(dataset), batch_size=2),
        seed=0,
        device=torch.device("cpu"),
        workers=workers,
        dtype=torch.float32,
        is_augmented=True,
    )
    try:
        list(loader.epoch(0))
    finally:
        loader.close()


def test_a_batch_in_the_order_of_its_indices(tmp_path: Path) -> None:
    batch = read_batch(write_tiles(tmp_path, 6), [5, 1], lambda sample, _: read_evaluate(sample))
    assert batch.tolist() == [[5.0] * 4, [1.0] * 4]


@pytest.mark.parametrize("workers", [0, 2])
def test_whatever_a_reader_raises_names_the_sample(tmp_path: Path, workers: int) -> None:
    with pytest.raises(DataError) as caught:
        load(torn(tmp_path), workers)
    assert str(caught.value) == "sample 4: cannot be read: KeyError: 'no such part\\nin this tile'"


@pytest.mark.parametrize(
    ("error", "words"),
    [(ValueError, "ValueError: no such part"), (OSError, "OSError: no such part")],
)
def test_one_line_of_it_is_told(tmp_path: Path, error: type[Exception], words: str) -> None:
    with pytest.raises(DataError) as caught:
        load(torn(tmp_path, error), 0)
    assert str(caught.value) == f"sample 4: cannot be read: {words}"


def test_what_the_library_makes_of_it_may_fail_too(tmp_path: Path) -> None:
    def convert(sample: bytes, position: int) -> torch.Tensor:
        return torch.tensor(list(sample[: 1 // position]))

    with pytest.raises(DataError, match=r"^sample 3: cannot be read: ZeroDivisionError"):
        read_batch(write_tiles(tmp_path, 6), [3, 1], convert)
