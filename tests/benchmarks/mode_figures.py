"""The times of training steps in docs/generation.md: `python -m tests.benchmarks.mode_figures`
writes what was measured."""

from collections.abc import Iterator

from benchmarks.generation_training import SIDES
from tests.benchmarks.figures import ROOT, measured

PAGE = ROOT / "docs" / "generation.md"
_HEAD = "| step of 64 images |"


def lines() -> Iterator[str]:
    """Yield the rows of the table: milliseconds, and the times as fast as the generated weight."""
    found = {(r["layout"], r["mode"]): r for r in measured("generation_training_cpu")}
    for layout in ("contiguous", "channels_last"):
        rows = [found[layout, side] for side in SIDES]
        cells = [f"{row['milliseconds']:.0f} ({row['ratio']:.2f}x)" for row in rows]
        yield f"| {' | '.join([layout, *cells])} |"


def on_page(page: str) -> list[str]:
    """Return the rows of the table that a page has."""
    rows = page.splitlines()
    first = next(i for i, line in enumerate(rows) if line.startswith(_HEAD)) + 2
    return rows[first : first + 2]


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    before, after = "\n".join(on_page(page)), "\n".join(lines())
    PAGE.write_text(page.replace(before, after), encoding="utf-8")


if __name__ == "__main__":
    main()
