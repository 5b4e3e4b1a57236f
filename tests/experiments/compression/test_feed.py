"""Batches of an epoch follow from torch's generator alone."""

from typing import cast

import torch
from torch import Tensor

from experiments.compression.feed import Feed
from experiments.data.loader import Loader
from experiments.data.plan import Plan
from experiments.protocols import Preprocess
from quantlab.compression.samples import drawn_from
from tests.toy.Toy.data import patches
from tests.toy.Toy.Tiny import preprocess

DATA = patches(11, seed=1)


def feed(*, is_shuffled: bool = True) -> tuple[Feed, list[int]]:
    """Return batches of 4 of 11 samples, and the numbers of the batches that were used."""
    used: list[int] = []
    loader = Loader(
        DATA,
        torch.arange(len(DATA)),
        preprocess=cast(Preprocess, preprocess),
        plan=Plan(num_samples=len(DATA), batch_size=4),
        seed=5,
        device=torch.device("cpu"),
        workers=0,
        dtype=torch.float32,
        is_augmented=is_shuffled,
    )
    return Feed(loader, is_shuffled=is_shuffled, on_batch=used.append), used


def epoch(batches: Feed, seed: int) -> list[Tensor]:
    with drawn_from(seed, batches):
        return [tensor for batch in batches for tensor in batch]


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(map(torch.equal, one, other))


def test_an_epoch_is_a_function_of_its_seed() -> None:
    batches, used = feed()
    first, second = epoch(batches, 1), epoch(batches, 2)
    assert [len(tensor) for tensor in first[::2]] == [4, 4, 3]
    assert used == [1, 2, 3, 1, 2, 3]
    assert len(batches) == 3
    assert not same(first, second)
    assert same(epoch(batches, 1), first)
    # Neither what was read before, nor reading that stopped early, changes anything.
    again, _ = feed()
    torch.manual_seed(77)
    next(iter(again))
    assert same(epoch(again, 2), second)
    assert sorted(torch.cat(first[1::2]).tolist()) == sorted(torch.cat(second[1::2]).tolist())


def test_samples_that_decide_come_in_order_without_augmentation() -> None:
    batches, _ = feed(is_shuffled=False)
    inputs, classes = zip(*batches, strict=True)
    assert torch.equal(torch.cat(classes), DATA.targets)
    assert torch.equal(torch.cat(inputs), DATA.inputs.float() / 96.0 - 1.0)
    state = torch.get_rng_state()
    list(batches)
    assert torch.equal(torch.get_rng_state(), state)
