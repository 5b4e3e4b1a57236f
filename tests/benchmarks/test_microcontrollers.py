"""The page on C has the figures that were measured, and no others."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"


def measured(name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((RESULTS / f"{name}.json").read_text())
    return rows


def lines() -> Iterator[str]:
    """Yield the rows of the table: a network on a core, ours beside BakeNN's."""
    by_side = {(r["network"], r["core"], r["side"]): r for r in measured("microcontrollers")}
    for (network, core, side), own in by_side.items():
        if side == "QuantLab":
            peer = by_side[network, core, own["peer"]]
            cells = [f"{_cells(own)} | {_cells(peer)}", f"{own['ratio']:.1f}"]
            yield f"| {network} | {core.removeprefix('Cortex-')} | {' | '.join(cells)} |"


def _cells(row: dict[str, Any]) -> str:
    sizes = (row["flash_bytes"], row["arena_bytes"], row["stack_bytes"])
    return " | ".join([*(f"{size:,}" for size in sizes), f"{row['instructions'] / 1e6:.2f}"])


def test_the_page_has_the_figures() -> None:
    page = (ROOT / "docs" / "c.md").read_text().splitlines()
    networks = tuple(f"| {row['network']} | M" for row in measured("microcontrollers"))
    assert [line for line in page if line.startswith(networks)] == list(lines())
    assert len(list(lines())) == 8


def test_ours_has_the_fewest_instructions_and_the_smallest_arena() -> None:
    rows = measured("microcontrollers")
    ours = {(r["network"], r["core"]): r for r in rows if r["side"] == "QuantLab"}
    for row in rows:
        own = ours[row["network"], row["core"]]
        assert own["instructions"] <= row["instructions"]
        assert row["side"] == "emx-onnx-cgen" or own["arena_bytes"] <= row["arena_bytes"]
    for row in measured("microcontrollers_interpreted"):
        assert row["our_arena_bytes"] < row["arena_bytes"]
