"""The page on C has the figures that were measured, and no others."""

from tests.benchmarks.figures import PAGE, lines, measured, on_page


def test_the_page_has_the_figures() -> None:
    assert on_page(PAGE.read_text(encoding="utf-8")) == list(lines())
    assert len(list(lines())) == 12


def test_ours_has_the_fewest_instructions_and_the_smallest_arena() -> None:
    rows = measured("microcontrollers")
    ours = {(r["network"], r["core"]): r for r in rows if r["side"] == "QuantLab"}
    for row in rows:
        own = ours[row["network"], row["core"]]
        assert own["instructions"] <= row["instructions"]
        assert row["side"] == "emx-onnx-cgen" or own["arena_bytes"] <= row["arena_bytes"]
    for row in measured("microcontrollers_interpreted"):
        assert row["our_arena_bytes"] < row["arena_bytes"]
