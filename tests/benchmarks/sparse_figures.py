"""The figures of sparse weights in docs/c.md: `python -m tests.benchmarks.sparse_figures` writes
what was measured."""

from collections.abc import Iterator

from tests.benchmarks.figures import PAGE, measured

SIZES = ("weight_bytes", "flash_bytes", "arena_bytes", "stack_bytes")


def lines() -> Iterator[str]:
    """Yield the rows of the table: the weights of a network on a core, stored one way."""
    for row in measured("sparse_c"):
        core = row["core"].removeprefix("Cortex-")
        side = row["side"].removeprefix("QuantLab, ")
        sizes = " | ".join(f"{row[size]:,}" for size in SIZES)
        instructions = f"{row['instructions'] / 1e6:.2f} | {row['ratio']:.1f}"
        yield f"| {row['network']}, {core} | {side} | {sizes} | {instructions} |"


def on_page(page: str) -> list[str]:
    """Return the rows of the table that a page has."""
    begins = tuple({f"{line.split('|')[1]}|" for line in lines()})
    return [line for line in page.splitlines() if line.removeprefix("|").startswith(begins)]


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    before, after = "\n".join(on_page(page)), "\n".join(lines())
    PAGE.write_text(page.replace(before, after), encoding="utf-8")


if __name__ == "__main__":
    main()
