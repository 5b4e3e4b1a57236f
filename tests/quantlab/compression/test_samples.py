"""Batches: what is held out, and what is refused in one line."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import (
    DataLoader,
    IterableDataset,
    RandomSampler,
    SubsetRandomSampler,
    TensorDataset,
)

from quantlab.compression import Data
from quantlab.compression.batch_checks import check_classes
from quantlab.compression.samples import Batches, batches_on, data_of
from quantlab.compression.training import accuracy_of, num_batches_of, num_classes_of
from quantlab.errors import UsageError
from tests.waiting import OnDevice

NETWORK = nn.Sequential(nn.Flatten(), nn.Linear(4, 3)).eval()
INPUTS, CLASSES = torch.arange(160.0).reshape(40, 4), torch.arange(40) % 3
PAIRS = TensorDataset(INPUTS, CLASSES)


class Stream(IterableDataset[tuple[Tensor, Tensor]]):
    """Samples without a length."""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        yield from PAIRS


def first_numbers(batches: Batches) -> list[float]:
    """Of all samples, which tells them apart."""
    return [number for inputs, _ in batches for number in inputs[:, 0].tolist()]


def test_loaders_without_length_are_read() -> None:
    loader = DataLoader(Stream(), batch_size=16)
    data, valid = data_of(Data(train=loader, valid=loader), 0)
    assert num_batches_of(data.train) == 3
    assert accuracy_of(NETWORK, valid, "data.valid") >= 0


def test_samples_that_a_sampler_leaves_out_stay_out() -> None:
    chosen = list(range(0, 40, 2))
    loader = DataLoader(PAIRS, batch_size=4, sampler=SubsetRandomSampler(chosen))
    data, valid = data_of(loader, 0)
    train, held = first_numbers(data.train), first_numbers(valid)
    assert len(held) == 2
    assert sorted(train + held) == INPUTS[chosen, 0].tolist()
    assert train != sorted(train)


def test_holding_out_leaves_no_batch_of_one_sample() -> None:
    loader = DataLoader(PAIRS, batch_size=7, shuffle=True)  # 36 of 40 are left
    data, _ = data_of(loader, 0)
    assert [len(inputs) for inputs, _ in data.train] == [7] * 5


@pytest.mark.parametrize(
    ("loader", "said"),
    [
        (lambda: DataLoader(Stream(), batch_size=4), "out of a Stream without length"),
        (lambda: DataLoader(PAIRS, batch_size=None), "a loader with batches of its own"),
        (lambda: DataLoader(PAIRS, batch_sampler=[[0, 1]]), "a loader with batches of its own"),
        (
            lambda: DataLoader(PAIRS, sampler=RandomSampler(PAIRS, replacement=True)),
            "a loader with a RandomSampler",
        ),
    ],
)
def test_what_no_tenth_can_be_held_out_of(loader: Callable[[], Any], said: str) -> None:
    with pytest.raises(UsageError, match=f"data.valid: None given, but .*{said}.* needed"):
        data_of(loader(), 0)


def batch(inputs: Tensor = INPUTS[:4], classes: Tensor = CLASSES[:4]) -> Batches:
    return [(inputs, classes)]


@pytest.mark.parametrize("kind", [torch.uint8, torch.int32, torch.int16, torch.bool])
def test_classes_of_any_integers_are_taken(kind: torch.dtype) -> None:
    given = batch(classes=(CLASSES[:4] % 2).to(kind))
    ((_, classes),) = batches_on(NETWORK, given, "data.train", 3)
    assert classes.dtype == torch.int64


def test_bytes_become_real_numbers() -> None:
    ((inputs, _),) = batches_on(NETWORK, batch(INPUTS[:4].byte()), "data.train", 3)
    assert torch.equal(inputs, INPUTS[:4])


BAD = pytest.mark.parametrize(
    ("given", "said"),
    [
        (batch(INPUTS[:4] * torch.nan), "data.train: NaN given, finite numbers allowed"),
        (batch(INPUTS[:4] / 0), "data.train: (NaN|infinite numbers) given"),
        (batch(classes=CLASSES[:4] + 5), "data.train: class 7 given, 0 to 2 allowed"),
        (batch(classes=CLASSES[:4] - 100), "data.train: class -100 given, 0 to 2 allowed"),
        (batch(classes=CLASSES[:3]), r"data.train: targets int64\[3\] given, integers \[4\]"),
        (batch(classes=CLASSES[:4].float()), r"data.train: targets float32\[4\] given"),
        (batch(classes=CLASSES[:4, None]), r"data.train: targets int64\[4, 1\] given"),
    ],
)


def assert_refused(given: Batches, said: str) -> None:
    for read in (
        lambda: list(batches_on(NETWORK, given, "data.train", 3)),
        lambda: accuracy_of(NETWORK, given, "data.train"),
    ):
        with pytest.raises(UsageError, match=said) as error:
            read()
        assert "\n" not in str(error.value)


@BAD
def test_bad_batches_are_one_line(given: Batches, said: str) -> None:
    assert_refused(given, said)


@BAD
def test_bad_batches_of_a_gpu_are_the_same_line_without_waiting(given: Batches, said: str) -> None:
    """It is said behind the last batch, but for what is known without looking."""
    assert_refused(OnDevice([*batch(), *given, *batch()]), said)


def test_classes_of_a_gpu_stay_within_the_network() -> None:
    """Beyond them its kernels stop for good."""
    given = OnDevice(batch(classes=torch.tensor([-2, 0, 2, 9])))
    batches = batches_on(NETWORK, given, "data.train", 3)
    _, classes = next(batches)
    with pytest.raises(UsageError, match="class -2 given, 0 to 2 allowed"):
        next(batches)
    assert classes.tolist() == [0, 0, 2, 2]


def test_batches_of_a_gpu_are_the_same() -> None:
    pairs = list(zip(INPUTS.split(8), CLASSES.split(8), strict=True))
    wanted = list(batches_on(NETWORK, pairs, "data.train", 3))
    found = list(batches_on(NETWORK, OnDevice(pairs), "data.train", 3))
    for one, other in zip(wanted, found, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert accuracy_of(NETWORK, OnDevice(pairs), "a") == accuracy_of(NETWORK, pairs, "a")


def test_inputs_that_the_network_does_not_take() -> None:
    with pytest.raises(UsageError, match=r"data.valid: float32\[4, 3\] given, which the network"):
        accuracy_of(NETWORK, batch(INPUTS[:4, :3]), "data.valid")


def test_the_number_of_classes() -> None:
    assert num_classes_of(NETWORK, INPUTS[:1]) == 3
    check_classes(CLASSES, 40, 3, "data.train")
    with pytest.raises(UsageError, match="class 2 given, 0 to 1 allowed"):
        check_classes(CLASSES, 40, 2, "data.train")
