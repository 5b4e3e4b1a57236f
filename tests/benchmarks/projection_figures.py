"""The figures of projections in docs/generation-projection.md: `python -m
tests.benchmarks.projection_figures` writes what was measured."""

from collections.abc import Iterator

from tests.benchmarks.figures import ROOT, measured

PAGE = ROOT / "docs" / "generation-projection.md"
_HEAD = "| layer | R |"
_ERRORS = ("train_last", "train_best", "qals", "allocated", "form", "codebooks", "scalars")


def lines() -> Iterator[str]:
    """Yield the rows of the table."""
    for row in measured("generation_projection"):
        name = f"{row['network']} {row['layer']}, {row['shape'].removesuffix('x3x3')}"
        errors = [f"{x:.3f}" if isinstance(x := row[key], float) else x for key in _ERRORS]
        cells = [name, str(row["bases"]), f"{row['bits_per_weight']:.2f}", *errors]
        yield f"| {' | '.join(cells)} |"


def on_page(page: str) -> list[str]:
    """Return the rows of the table that a page has."""
    rows = page.splitlines()
    first = next(i for i, line in enumerate(rows) if line.startswith(_HEAD)) + 2
    last = next(i for i in range(first, len(rows)) if not rows[i].startswith("|"))
    return rows[first:last]


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    before, after = "\n".join(on_page(page)), "\n".join(lines())
    PAGE.write_text(page.replace(before, after), encoding="utf-8")


if __name__ == "__main__":
    main()
