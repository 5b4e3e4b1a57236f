"""The page on ClickHouse has the figures that were measured, and these hold what is promised."""

import pytest

from benchmarks.database.jobs import jobs
from benchmarks.harness import RESULTS
from tests.benchmarks.database_figures import PAGE, lines, on_page
from tests.benchmarks.figures import measured

MEASURES = ("mismatches", "top-1", "stored bytes")


def test_the_page_has_the_figures() -> None:
    assert on_page(PAGE.read_text(encoding="utf-8")) == "\n".join(lines()).strip()


def test_no_number_differs() -> None:
    rows = [row for row in measured("database") if row["measure"] == "mismatches"]
    assert rows
    assert all(row["value"] == 0 and row["ratio"] == 1 for row in rows)


def test_the_database_has_the_top1_of_the_integers() -> None:
    rows = [row for row in measured("database") if row["measure"] == "top-1"]
    assert rows
    for row in rows:
        assert row["ratio"] == 1
        assert row["network"] != "LeNet-binary" or (
            row["value"] >= 98.7 and row["images"] == 10_000
        )


@pytest.mark.parametrize(("network", "factor"), [("LeNet-binary", 27), ("ResNet-18-binary", 25)])
def test_weights_are_small(network: str, factor: float) -> None:
    (row,) = (
        row
        for row in measured("database")
        if (row["measure"], row["network"], row["side"]) == ("stored bytes", network, "weights")
    )
    assert row["ratio"] >= factor


def test_all_parts_have_names_of_files() -> None:
    assert all(name == name.strip() and "/" not in name for name in jobs())
    assert (RESULTS / "database.json").exists()
