"""The figures in docs/c.md: `python -m tests.benchmarks.figures` writes what was measured."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "c.md"


def measured(name: str) -> list[dict[str, Any]]:
    path = ROOT / "benchmarks" / "results" / f"{name}.json"
    rows: list[dict[str, Any]] = json.loads(path.read_text())
    return rows


def lines() -> Iterator[str]:
    """Yield the rows of the table: a network on a core, ours beside BakeNN's."""
    by_side = {(r["network"], r["core"], r["side"]): r for r in measured("microcontrollers")}
    for (network, core, side), own in by_side.items():
        if side == "QuantLab":
            peer = by_side[network, core, own["peer"]]
            cells = f"{_cells(own)} | {_cells(peer)} | {own['ratio']:.1f}"
            yield f"| {network} | {core.removeprefix('Cortex-')} | {cells} |"


def on_page(page: str) -> list[str]:
    """Return the rows of the table that a page has."""
    networks = tuple({f"| {row['network']} | M" for row in measured("microcontrollers")})
    return [line for line in page.splitlines() if line.startswith(networks)]


def _cells(row: dict[str, Any]) -> str:
    sizes = (row["flash_bytes"], row["arena_bytes"], row["stack_bytes"])
    return " | ".join([*(f"{size:,}" for size in sizes), f"{row['instructions'] / 1e6:.2f}"])


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    before, after = "\n".join(on_page(page)), "\n".join(lines())
    PAGE.write_text(page.replace(before, after), encoding="utf-8")


if __name__ == "__main__":
    main()
