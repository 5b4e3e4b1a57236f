"""The figures of few bits in docs/c.md: `python -m tests.benchmarks.few_bits_figures` writes what
was measured."""

from collections.abc import Iterator

from tests.benchmarks.figures import PAGE, measured


def lines() -> Iterator[str]:
    """Yield the rows of the table: a network on a core, with each encoding."""
    sides: dict[tuple[str, str], list[str]] = {}
    for row in measured("few_bits"):
        cells = [f"{row['flash_bytes']:,}", f"{row['instructions'] / 1e6:.2f}"]
        sides.setdefault((row["network"], row["core"].removeprefix("Cortex-")), []).extend(cells)
    for names, cells in sides.items():
        yield f"| {' | '.join([*names, *cells])} |"


def on_page(page: str) -> list[str]:
    """Return the rows of the table that a page has."""
    networks = tuple({f"| {row['network']} | M" for row in measured("few_bits")})
    return [line for line in page.splitlines() if line.startswith(networks)]


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    before, after = "\n".join(on_page(page)), "\n".join(lines())
    PAGE.write_text(page.replace(before, after), encoding="utf-8")


if __name__ == "__main__":
    main()
