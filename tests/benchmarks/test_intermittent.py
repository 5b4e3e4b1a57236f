"""The page on power failures has the figures that were measured, and no others."""

from tests.benchmarks.figures import measured
from tests.benchmarks.intermittent_figures import PAGE, lines, on_page


def test_the_page_has_the_figures() -> None:
    assert on_page(PAGE.read_text(encoding="utf-8")) == list(lines())
    assert len(list(lines())) == 8


def test_smaller_tiles_take_more_instructions_and_less_of_a_charge() -> None:
    rows = measured("intermittent")
    for core in {row["core"] for row in rows}:
        unbroken, *cut = [row for row in rows if row["core"] == core]
        assert unbroken["tiles"] == 0
        for row, finer in zip([unbroken, *cut], cut, strict=False):
            assert row["instructions"] <= finer["instructions"] < 4 * unbroken["instructions"]
        longest = [row["longest"] / row["ticks"] for row in cut]
        assert longest == sorted(longest, reverse=True)
        assert longest[-1] < 0.01
