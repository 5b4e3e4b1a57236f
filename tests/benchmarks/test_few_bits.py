"""The page on C has the figures of few bits that were measured, and no others."""

from tests.benchmarks.few_bits_figures import lines, on_page
from tests.benchmarks.figures import PAGE, measured


def test_the_page_has_the_figures() -> None:
    assert on_page(PAGE.read_text(encoding="utf-8")) == list(lines())
    assert len(list(lines())) == 6


def test_bits_take_less_flash() -> None:
    rows = {(r["network"], r["core"], r["encoding"]): r for r in measured("few_bits")}
    for (network, core, encoding), own in rows.items():
        dense, auto = (rows[network, core, name] for name in ("dense", "auto"))
        assert encoding == "dense" or own["flash_bytes"] < 0.7 * dense["flash_bytes"]
        assert auto["instructions"] < 1.25 * dense["instructions"]
