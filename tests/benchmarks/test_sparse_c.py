"""The page on C has the figures of sparse weights that were measured, and no others."""

from tests.benchmarks.figures import PAGE, measured
from tests.benchmarks.sparse_figures import lines, on_page


def test_the_page_has_the_figures() -> None:
    assert on_page(PAGE.read_text(encoding="utf-8")) == list(lines())


def test_sparse_weights_take_less_flash_and_fewer_instructions() -> None:
    rows = {(r["network"], r["core"], r["side"]): r for r in measured("sparse_c")}
    for (network, core, side), row in rows.items():
        if side in ("QuantLab, csr", "QuantLab, auto"):
            for other in (row["peer"], "QuantLab, dense"):
                theirs = rows[network, core, other]
                assert row["flash_bytes"] < theirs["flash_bytes"] / 2
                assert row["instructions"] < theirs["instructions"]
