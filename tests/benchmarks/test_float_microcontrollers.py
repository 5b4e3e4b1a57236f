"""The page on C has the figures of floats that were measured, and no others."""

from tests.benchmarks.figures import PAGE, measured
from tests.benchmarks.float_figures import lines, on_page


def test_the_page_has_the_figures() -> None:
    assert on_page(PAGE.read_text(encoding="utf-8")) == list(lines())
    assert len(list(lines())) == 4


def test_memory_and_instructions_are_fewer_than_the_peers() -> None:
    rows = {(r["network"], r["core"], r["side"]): r for r in measured("float_microcontrollers")}
    for (network, core, side), own in rows.items():
        if side == "QuantLab":
            peer = rows[network, core, "emx-onnx-cgen"]
            assert own["ram_bytes"] < 0.1 * peer["ram_bytes"]
            assert own["instructions"] < 0.8 * peer["instructions"]
            assert (
                own["flash_bytes"] < (0.16 if "pruned" in network else 1.002) * peer["flash_bytes"]
            )
