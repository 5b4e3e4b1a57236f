from pathlib import Path

import pytest
import torch
from torch import nn

from quantlab.compression.cost import Cost, exported_cost
from quantlab.compression.separation import separate
from tests.quantlab.compression.host import check_c, needs_compiler
from tests.quantlab.compression.layers import images, lower


def hidden(*ranks: int, width: int = 32) -> nn.Sequential:
    """Return a network whose hidden layers, all of a width, have these ranks."""
    torch.manual_seed(0)
    body = [part for rank in ranks for part in (lower(nn.Linear(width, width), rank), nn.ReLU())]
    return nn.Sequential(nn.Flatten(), nn.Linear(16, width), nn.ReLU(), *body, nn.Linear(width, 3))


@needs_compiler
def test_a_layer_is_separated_where_the_arena_falls(tmp_path: Path) -> None:
    network, samples = hidden(2), images(size=4)
    cost = exported_cost(samples)
    result = separate(network, samples, cost=cost)
    rows = {row.name: row for row in result.rows}
    row = rows["3"]
    assert (row.chosen.form, row.chosen.ranks) == ("svd", (2,))
    assert (row.ideal_before, row.ideal_after) == (64, 34)
    assert row.before == cost(network)
    assert row.after == cost(result.network) == result.cost
    assert row.after.ram < row.before.ram
    assert row.reason == (
        f"svd of rank 2: {row.after.ram:,} bytes of RAM instead of {row.before.ram:,}"
    )
    assert rows["1"].chosen is None
    check_c(result.network, samples, tmp_path)


def test_a_layer_stays_where_another_one_needs_as_much() -> None:
    """The second hidden layer needs as much as the first, and has full rank."""
    network, samples = hidden(2, 30), images(size=4)
    result = separate(network, samples, cost=exported_cost(samples), names=["3"])
    (row,) = result.rows
    assert row.chosen is None
    assert row.ideal_after == row.ideal_before == 64
    (trial,) = row.trials
    assert trial.form == "svd"
    assert trial.cost.ram == row.before.ram
    assert row.reason == (
        f"kept dense: {row.before.ram:,} bytes of RAM; {trial.words}: {row.before.ram:,}"
    )
    assert isinstance(result.network[3], nn.Linear)


@pytest.mark.long
def test_layers_that_need_as_much_are_separated_together() -> None:
    network, samples = hidden(2, 3, 2), images(size=4)
    result = separate(network, samples, cost=exported_cost(samples))
    changed = {row.name: row for row in result.rows if row.chosen}
    assert set(changed) == {"3", "5", "7"}
    before = exported_cost(samples)(network)
    assert result.cost == exported_cost(samples)(result.network)
    assert result.cost.ram < before.ram
    assert changed["3"].after == changed["5"].after == changed["7"].after == result.cost
    assert any("bytes of RAM instead of" in row.reason for row in changed.values())
    with torch.no_grad():
        error = (result.network(samples) - network(samples)).square().sum()
        assert error <= 0.011 * network(samples).square().sum()


def peaks(network: nn.Module) -> Cost:
    """Return, as RAM, the most elements that a Linear gets and gives; as flash its weights."""
    linear = [m for m in network.modules() if isinstance(m, nn.Linear)]
    return Cost(
        flash=sum(m.weight.numel() for m in linear),
        ram=max(m.in_features + m.out_features for m in linear),
    )


def test_of_layers_changed_together_those_stay_that_need_not_change() -> None:
    torch.manual_seed(0)
    small = lower(nn.Linear(30, 20), 2)
    network = nn.Sequential(
        lower(nn.Linear(40, 40), 2), lower(nn.Linear(40, 40), 2), nn.Linear(40, 30), small
    )
    result = separate(network, torch.rand(16, 40), cost=peaks, tolerance=0.1)
    assert [row.chosen is not None for row in result.rows] == [True, True, False, False]
    assert result.cost.ram == 70
    assert result.network[3].weight.shape == small.weight.shape
    first, second = result.rows[:2]
    assert first.reason == f"{first.chosen.words}: 70 bytes of RAM instead of 80, with 1"
    assert second.reason == f"{second.chosen.words}: 70 bytes of RAM instead of 80, with 0"
    assert first.after == second.after == peaks(result.network)


def test_a_loss_beyond_the_tolerance_leaves_all_layers() -> None:
    network, samples = hidden(2, 3), images(size=4)
    result = separate(
        network, samples, cost=peaks, loss=lambda m: float(len(list(m.modules()))), tolerance=1
    )
    assert [row.chosen for row in result.rows] == [None] * 4
    assert str(result.network) == str(network)


@pytest.mark.long
@needs_compiler
def test_convolutions_are_separated_where_the_arena_falls(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(),
        lower(nn.Conv2d(16, 16, 5, padding=2), 1), nn.ReLU(), nn.MaxPool2d(4),
        nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip
    samples = images()
    result = separate(network, samples, cost=exported_cost(samples))
    first, row, last = result.rows
    assert (first.chosen, last.chosen) == (None, None)
    assert row.chosen.form in ("svd", "tucker")
    assert row.before.ram - row.after.ram < 20  # in place, a convolution needs little more
    assert row.ideal_after < row.ideal_before == 2048
    assert row.after == result.cost
    assert row.after.ram < row.before.ram
    check_c(result.network, samples, tmp_path)
