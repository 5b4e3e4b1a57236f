"""The figures of few bits in docs/c.md: `python -m tests.benchmarks.few_bits_figures` writes what
was measured."""

from collections.abc import Iterator

from tests.benchmarks.figures import PAGE, measured


def lines() -> Iterator[str]:
    """Yield the rows of the table: a network on a core, its weights as bytes and as bits."""
    rows = {(r["network"], r["core"], r["encoding"]): r for r in measured("few_bits")}
    for (network, core, encoding), own in rows.items():
        if encoding == "auto":
            dense = rows[network, core, "dense"]
            sides = [f"{one['flash_bytes']:,} | {_millions(one)}" for one in (dense, own)]
            cells = [network, core.removeprefix("Cortex-"), *sides, f"{own['ratio']:.2f}"]
            yield f"| {' | '.join(cells)} |"


def on_page(page: str) -> list[str]:
    """Return the rows of the table that a page has."""
    networks = tuple({f"| {row['network']} | M" for row in measured("few_bits")})
    return [line for line in page.splitlines() if line.startswith(networks)]


def _millions(row: dict[str, int]) -> str:
    return f"{row['instructions'] / 1e6:.2f}"


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    before, after = "\n".join(on_page(page)), "\n".join(lines())
    PAGE.write_text(page.replace(before, after), encoding="utf-8")


if __name__ == "__main__":
    main()
