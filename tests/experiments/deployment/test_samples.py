from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from experiments.deployment.samples import raw_batches, raw_samples
from experiments.protocols import InMemory
from problems.tables.standardize import Standardization
from quantlab.errors import UsageError


class Files:
    """A data set on disk whose samples are their numbers; it notes what is read."""

    classes = ("a", "b")

    def __init__(self, count: int) -> None:
        self.targets = torch.arange(count) % 2
        self.reads: list[int] = []

    def __len__(self) -> int:
        return len(self.targets)

    def read(self, index: int) -> int:
        self.reads.append(index)
        return index


def read_evaluate(sample: int) -> Tensor:
    return torch.full((3, 4, 4), sample, dtype=torch.uint8)


def library(**functions: Any) -> Any:
    return SimpleNamespace(name="Toy/Tiny", preprocess=SimpleNamespace(**functions))


def in_memory(inputs: Tensor) -> InMemory:
    return InMemory(inputs=inputs, targets=torch.arange(len(inputs)), classes=())


def test_images_come_from_all_over_the_data_set() -> None:
    inputs = torch.arange(10, dtype=torch.uint8).view(10, 1, 1, 1)
    images, targets = raw_samples(in_memory(inputs), library(), 4)
    assert images.flatten().tolist() == targets.tolist() == [0, 2, 5, 7]
    images, targets = raw_samples(in_memory(inputs), library(), 99)
    assert torch.equal(images, inputs)
    assert targets.tolist() == list(range(10))


def test_files_are_read_as_the_library_reads_them() -> None:
    reading = library(read_train=None, read_evaluate=read_evaluate)
    images, targets = raw_samples(Files(9), reading, 3)
    assert images.shape == (3, 3, 4, 4)
    assert images[:, 0, 0, 0].tolist() == [0, 3, 6]
    assert targets.tolist() == [0, 1, 0]


@pytest.mark.parametrize("count", [1, 4, 8, 9, 99])
def test_batches_are_the_same_samples_read_one_by_one(count: int) -> None:
    reading, files = library(read_train=None, read_evaluate=read_evaluate), Files(9)
    images, targets = raw_samples(files, reading, count)
    files.reads.clear()
    parts = []
    for number, part in enumerate(raw_batches(files, reading, count, 4), 1):
        assert len(files.reads) == min(4 * number, len(images))  # no more than was asked for
        parts.append(part)
    assert torch.equal(torch.cat([part for part, _ in parts]), images)
    assert torch.equal(torch.cat([part for _, part in parts]), targets)
    inputs = torch.arange(9, dtype=torch.uint8).view(9, 1, 1, 1)
    first, _ = next(raw_batches(in_memory(inputs), library(), 9, 4))
    assert first.flatten().tolist() == [0, 1, 2, 3]


def test_what_no_program_takes() -> None:
    with pytest.raises(UsageError, match=r"^Toy/Tiny: samples of torch\.float32, 4 axes given; an"):
        raw_samples(in_memory(torch.zeros(3, 1, 2, 2)), library(), 2)
    with pytest.raises(UsageError, match="an integer program takes uint8, 4 axes"):
        next(raw_batches(in_memory(torch.zeros(3, 1, 2, 2)), library(), 2, 1))
    with pytest.raises(UsageError, match="defines no read_train and read_evaluate"):
        raw_samples(Files(3), library(), 2)


def test_rows_are_what_the_normalization_encodes() -> None:
    made = Standardization(names=("a", "b"), mean=(0.0, 1.0), std=(1.0, 2.0))
    table = library(NORMALIZATION=made)
    rows = torch.arange(8.0).view(4, 2)
    samples, targets = raw_samples(in_memory(rows), table, 4)
    assert torch.equal(samples, rows)
    assert targets.tolist() == [0, 1, 2, 3]
    for wrong in (torch.zeros(4, 3), torch.zeros(4, 1, 2, 2), torch.zeros(4)):
        with pytest.raises(UsageError, match="its NORMALIZATION encodes rows of 2 numbers"):
            raw_samples(in_memory(wrong), table, 2)
