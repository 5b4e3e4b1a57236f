"""The page on compression has the figures that were measured, and no others; budgets held."""

import pytest

from tests.benchmarks.compression_figures import PAGE, lines, on_page
from tests.benchmarks.figures import measured


def test_the_page_has_the_figures() -> None:
    assert on_page(PAGE.read_text(encoding="utf-8")) == "\n".join(lines()).splitlines()


def test_objects_take_no_more_than_their_budget() -> None:
    rows = [row for row in measured("compression") if "budget_bytes" in row]
    assert all(row["flash_bytes"] <= row["budget_bytes"] for row in rows if "flash_bytes" in row)
    assert len(rows) > 10


@pytest.mark.parametrize("bar", [("flash_bytes", 3.5), ("instructions", 8.0)])
def test_digits_are_below_their_peer(bar: tuple[str, float]) -> None:
    name, factor = bar
    rows = [row for row in measured("compression") if row["network"] == "digits"]
    (peer,) = (row for row in rows if row["method"] == "BakeNN, plain C")
    for row in rows:
        if row is not peer and row["budget"] == "7 KB":
            assert peer[name] >= factor * row[name]
