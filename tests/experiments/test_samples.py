from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from experiments.protocols import InMemory
from experiments.samples import raw_samples
from quantlab.errors import UsageError


class Files:
    """A data set on disk whose samples are their numbers."""

    classes = ("a", "b")

    def __init__(self, count: int) -> None:
        self.targets = torch.arange(count) % 2

    def __len__(self) -> int:
        return len(self.targets)

    def read(self, index: int) -> int:
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


def test_what_no_program_takes() -> None:
    with pytest.raises(UsageError, match=r"^Toy/Tiny: samples of torch\.float32, 4 axes given; an"):
        raw_samples(in_memory(torch.zeros(3, 1, 2, 2)), library(), 2)
    with pytest.raises(UsageError, match="defines no read_train and read_evaluate"):
        raw_samples(Files(3), library(), 2)
