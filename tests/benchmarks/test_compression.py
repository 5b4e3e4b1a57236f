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
