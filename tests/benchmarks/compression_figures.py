"""The figures of compression in docs/compression.md: `python -m
tests.benchmarks.compression_figures` writes what was measured."""

from collections.abc import Iterator
from statistics import mean
from typing import Any

from tests.benchmarks.figures import measured
from tests.docs.markdown import CHECKOUT

PAGE = CHECKOUT / "docs" / "compression.md"
BEGIN = "<!-- Results: python -m tests.benchmarks.compression_figures -->\n"
END = "<!-- End of results -->"


def lines() -> Iterator[str]:
    """Yield the rows of the table: a network, a budget and a rule, the mean over its seeds."""
    yield (
        "| network | budget | rule | seeds | flash | RAM | dense % | C % | of each seed | M3 |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    )
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in measured("compression"):
        groups.setdefault((row["network"], row["budget"], row["method"]), []).append(row)
    for (network, budget, method), rows in groups.items():
        made = [row for row in rows if "flash_bytes" in row]
        if not made:
            said = f"| {len(rows)} | | | {_mean(rows, 'dense'):.2f} | not reached | | |"
            yield f"| {network} | {_budget(budget, rows)} | {method} {said}"
            continue
        cells = [
            network,
            _budget(budget, rows),
            method,
            str(len(rows)),
            f"{max(row['flash_bytes'] for row in made):,}",
            f"{max(row['ram_bytes'] + row['stack_bytes'] for row in made):,}",
            f"{_mean(made, 'dense'):.2f}" if "dense" in made[0] else "",
            f"{_mean(made, 'accuracy'):.2f}" if "accuracy" in made[0] else "",
            ", ".join(f"{row['accuracy']:.2f}" for row in made if "accuracy" in row),
            f"{_mean(made, 'instructions') / 1e6:.2f}",
        ]
        yield f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |")


def on_page(page: str) -> list[str]:
    """Return the rows of the table that a page has."""
    return page.split(BEGIN)[1].split(END)[0].strip().splitlines()


def _budget(name: str, rows: list[dict[str, Any]]) -> str:
    size = rows[0].get("budget_bytes")
    return "" if size is None else f"{name}: {size:,}" if "/" in name else f"{size:,}"


def _mean(rows: list[dict[str, Any]], name: str) -> float:
    return mean(row[name] for row in rows)


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    after = "\n".join(["", *lines(), "", END])
    PAGE.write_text(before + BEGIN + after + rest.split(END)[1], encoding="utf-8")


if __name__ == "__main__":
    main()
