"""Batches whose inputs go through a function, in the order of the batches given."""

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from quantlab.compression.samples import drawn_from
from quantlab.compression.transformed import Transformed
from quantlab.errors import UsageError

DATA = TensorDataset(torch.arange(12.0)[:, None], torch.arange(12))


def doubled(x: Tensor) -> Tensor:
    return 2 * x


@pytest.mark.parametrize("generator", [None, torch.Generator()])
def test_the_order_is_that_of_the_loader(generator: torch.Generator | None) -> None:
    loader = DataLoader(DATA, batch_size=4, shuffle=True, generator=generator)
    changed = Transformed(batches=loader, transform=doubled, name="train_loader")
    assert len(changed) == len(loader) == 3
    orders = []
    for batches in (loader, changed, changed):
        with drawn_from(7, batches):
            orders.append(torch.cat([targets for _, targets in batches]))
    assert torch.equal(orders[0], orders[1])
    assert torch.equal(orders[0], orders[2])
    for inputs, targets in changed:
        assert torch.equal(inputs[:, 0], 2.0 * targets)


def test_what_is_no_batch_is_refused() -> None:
    changed = Transformed(batches=[(torch.rand(2, 1),)], transform=doubled, name="val_loader")
    with pytest.raises(UsageError, match="val_loader: a batch that is a tuple given"):
        list(changed)
    shorter = Transformed(batches=list(DataLoader(DATA)), transform=lambda x: x[:0], name="x")
    with pytest.raises(UsageError, match="calculateInputs: it returned a Tensor, a tensor of 1"):
        list(shorter)
