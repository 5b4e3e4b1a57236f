"""Batches do not depend on workers, nor on where an epoch was taken up."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

import tests.toy.tiles as preprocess
from experiments.data.draws import permutation, uniform
from experiments.data.loader import Batch, Loader, place
from experiments.data.plan import Plan
from experiments.protocols import Dataset, InMemory
from quantlab.errors import DataError, UsageError
from tests.toy.tiles import write_tiles

SEED = 11
INDICES = torch.tensor([0, 2, 3, 5, 6, 7, 8, 10, 11, 12, 13])
CPU = torch.device("cpu")


def in_memory() -> InMemory:
    inputs = torch.arange(14).repeat_interleave(4).view(14, 4).to(torch.uint8)
    return InMemory(inputs=inputs, targets=torch.arange(14) % 2, classes=("even", "odd"))


def make(
    dataset: Dataset,
    *,
    workers: int = 0,
    is_augmented: bool = True,
    num_ranks: int = 1,
    rank: int = 0,
) -> Loader:
    plan = Plan(num_samples=len(INDICES), batch_size=2, num_ranks=num_ranks, rank=rank)
    return Loader(
        dataset,
        INDICES,
        preprocess=preprocess,
        plan=plan,
        seed=SEED,
        device=CPU,
        workers=workers,
        dtype=torch.float64,
        is_augmented=is_augmented,
    )  # fmt: skip


def assert_equal(one: list[Batch], other: list[Batch]) -> None:
    for a, b in zip(one, other, strict=True):
        assert torch.equal(a.raw, b.raw)
        assert torch.equal(a.inputs, b.inputs)
        assert torch.equal(a.targets, b.targets)
        assert (a.weight, a.step, a.is_last) == (b.weight, b.step, b.is_last)


def samples(batches: list[Batch]) -> Tensor:
    return torch.cat([batch.inputs for batch in batches if batch.weight])


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_workers_change_nothing(tmp_path: Path, kind: str) -> None:
    dataset = in_memory() if kind == "memory" else write_tiles(tmp_path, 14)
    alone, helped = make(dataset), make(dataset, workers=2)
    for epoch in (0, 1):
        assert_equal(list(alone.epoch(epoch)), list(helped.epoch(epoch)))
    rest = list(alone.epoch(1))[2:]
    assert_equal(rest, list(helped.epoch(1, first_step=2)))
    unshuffled = list(alone.epoch(0, is_shuffled=False))
    assert_equal(unshuffled, list(helped.epoch(0, is_shuffled=False)))


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_against_the_definition(tmp_path: Path, kind: str) -> None:
    dataset = in_memory() if kind == "memory" else write_tiles(tmp_path, 14)
    batches = list(make(dataset).epoch(3))
    order = INDICES[permutation(SEED, 3, len(INDICES))]
    draws = uniform(SEED, 3, order, 2)
    expected = order.double()[:, None].repeat(1, 4)
    if kind == "disk":
        expected = expected + draws[:, :1].double()
    expected = expected + 100.0 * draws[:, 1:]
    torch.testing.assert_close(samples(batches), expected)
    assert torch.equal(torch.cat([batch.targets for batch in batches]), order % 2)
    assert [len(batch.targets) for batch in batches] == [2, 2, 2, 2, 2, 1]


def test_evaluation_is_in_order_and_plain(tmp_path: Path) -> None:
    for dataset in (in_memory(), write_tiles(tmp_path, 14)):
        found = samples(list(make(dataset, is_augmented=False).epoch(9, is_shuffled=False)))
        assert torch.equal(found, INDICES.double()[:, None].repeat(1, 4))


def test_ranks_share_the_epoch_of_one() -> None:
    alone = samples(list(make(in_memory()).epoch(2)))
    parts = [list(make(in_memory(), num_ranks=3, rank=rank).epoch(2)) for rank in range(3)]
    steps = [batch for step in zip(*parts, strict=True) for batch in step]
    assert torch.equal(samples(steps), alone)


def test_an_empty_share() -> None:
    parts = [list(make(in_memory(), num_ranks=5, rank=rank).epoch(0)) for rank in range(5)]
    weights = [batches[-1].weight for batches in parts]
    assert sorted(weights) == [0.0] * 4 + [1.0]
    empty = parts[weights.index(0.0)][-1]
    assert empty.is_last
    assert empty.inputs.numel() == 0


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_file_is_a_data_error_of_one_line(tmp_path: Path, workers: int) -> None:
    dataset = write_tiles(tmp_path, 14)
    (tmp_path / "6.tile").write_bytes(b"")
    with pytest.raises(DataError, match=r"6\.tile: 0 bytes; expected 4") as caught:
        list(make(dataset, workers=workers).epoch(0))
    assert len(str(caught.value).splitlines()) == 1


def test_data_on_disk_needs_reading(tmp_path: Path) -> None:
    from problems.images import augment

    dataset = write_tiles(tmp_path, 14)
    augment_without_draws = type("Module", (), {"NUM_DRAWS": 0, "source": augment})
    with pytest.raises(UsageError, match="defines no read_train and read_evaluate"):
        Loader(
            dataset,
            INDICES,
            preprocess=augment_without_draws,
            plan=Plan(num_samples=11, batch_size=2),
            seed=0,
            device=CPU,
            workers=0,
            dtype=torch.float32,
            is_augmented=False,
        )


def test_the_cpu_needs_no_placing() -> None:
    dataset = in_memory()
    assert place(dataset, CPU) is dataset
