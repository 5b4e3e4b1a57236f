"""The figures of power failures in docs/intermittent.md: `python -m
tests.benchmarks.intermittent_figures` writes what was measured."""

from collections.abc import Iterator

from tests.benchmarks.figures import measured
from tests.docs.markdown import CHECKOUT

PAGE = CHECKOUT / "docs" / "intermittent.md"


def lines() -> Iterator[str]:
    """Yield the rows of the table: a size of tiles on a core."""
    for row in measured("intermittent"):
        is_cut = row["tiles"] > 0
        cells = [
            row["form"],
            row["core"].removeprefix("Cortex-"),
            f"{row['tiles']:,}" if is_cut else "",
            f"{row['largest_tile']:,}" if is_cut else "",
            *(f"{row[name]:,}" for name in ("arena_bytes", "flash_bytes", "stack_bytes")),
            f"{row['instructions'] / 1e6:.2f}",
            f"{row['longest']:,} of {row['ticks']:,}" if is_cut else "",
        ]
        yield f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |")


def on_page(page: str) -> list[str]:
    """Return the rows of the table that a page has."""
    forms = tuple({f"| {row['form']} | " for row in measured("intermittent")})
    return [line for line in page.splitlines() if line.startswith(forms)]


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    before, after = "\n".join(on_page(page)), "\n".join(lines())
    PAGE.write_text(page.replace(before, after), encoding="utf-8")


if __name__ == "__main__":
    main()
