"""The page on compression has the figures that were measured, and no others. Budgets held, and so
did the accuracy that each network was to keep."""

from itertools import product
from statistics import mean
from typing import Any

import pytest

from tests.benchmarks.compression_figures import PAGE, lines, on_page
from tests.benchmarks.figures import measured


def test_the_page_has_the_figures() -> None:
    assert on_page(PAGE.read_text(encoding="utf-8")) == "\n".join(lines()).splitlines()


def test_objects_take_no_more_than_their_budget() -> None:
    rows = [row for row in measured("compression") if "budget_bytes" in row]
    assert all(row["flash_bytes"] <= row["budget_bytes"] for row in rows if "flash_bytes" in row)
    assert len(rows) > 10


@pytest.mark.parametrize(("budget", "points"), [("1/10", 0.5), ("1/30", 2.0)])
def test_parts_of_the_floats_cost_few_points(budget: str, points: float) -> None:
    rows = [
        row
        for row in measured("compression")
        if (row["budget"], row["method"]) == (budget, "sensitivity")
    ]
    assert all(row["accuracy"] >= row["dense"] - points for row in rows)
    assert {row["network"] for row in rows} == {"LeNet", "Baseline-S", "ResNet-20"}


def test_largest_first_keeps_no_more() -> None:
    ours, theirs = (_by_budget(method) for method in ("sensitivity", "largest_first"))
    for place, peers in theirs.items():
        seeds = ours[place].keys() & peers.keys()
        assert mean(ours[place][seed] for seed in seeds) >= mean(peers[seed] for seed in seeds)
    budgets = product(("LeNet", "Baseline-S", "ResNet-20"), ("1/4", "1/10", "1/30", "1/95"))
    assert {place: len(seeds) for place, seeds in theirs.items()} == dict.fromkeys(budgets, 3)


@pytest.mark.parametrize(
    ("network", "nbytes"), [("ResNet-8", 24_000), ("ResNet-8, fast", 36_000), ("DS-CNN", 14_000)]
)
def test_budgets_of_its_own_cost_a_network_at_most_one_point(network: str, nbytes: int) -> None:
    rows = [row for row in measured("compression") if row["network"] == network]
    assert rows
    for row in rows:
        assert row["flash_bytes"] <= nbytes
        assert row["accuracy"] >= row["dense"] - 1.0


def test_a_fast_resnet8_takes_at_most_35_million_instructions() -> None:
    rows = [row for row in measured("compression") if row["network"] == "ResNet-8, fast"]
    assert rows
    assert all(row["instructions"] <= 35e6 for row in rows)


def test_digits_are_small_and_fast() -> None:
    rows = [row for row in measured("compression") if row["network"] == "digits"]
    ours = [row for row in rows if row["budget"] == "7 KB"]
    assert len(ours) == 3
    for row in ours:
        assert row["flash_bytes"] <= 9_000
        assert row["ram_bytes"] + row["stack_bytes"] <= 2_500
        assert row["instructions"] <= 0.9e6


@pytest.mark.parametrize(
    ("names", "factor"),
    [(("flash_bytes",), 3.5), (("ram_bytes", "stack_bytes"), 2.0), (("instructions",), 8.0)],
)
def test_digits_are_below_their_peer(names: tuple[str, ...], factor: float) -> None:
    rows = [row for row in measured("compression") if row["network"] == "digits"]
    (peer,) = (row for row in rows if row["method"] == "BakeNN, plain C")
    ours = [row for row in rows if row["budget"] == "7 KB"]
    assert len(ours) == 3
    for row in ours:
        assert row["accuracy"] >= 98
        assert sum(peer[name] for name in names) >= factor * sum(row[name] for name in names)


def _by_budget(method: str) -> dict[tuple[str, str], dict[int, float]]:
    """Return the accuracy of each seed by network and budget, of parts of the floats that a rule
    reached."""
    found: dict[tuple[str, str], dict[int, float]] = {}
    rows: list[dict[str, Any]] = measured("compression")
    for row in rows:
        if "/" in row["budget"] and row["method"] == method and "accuracy" in row:
            found.setdefault((row["network"], row["budget"]), {})[row["seed"]] = row["accuracy"]
    return found
