"""The figures in docs/clickhouse-measured.md: `python -m tests.benchmarks.database_figures` writes
what was measured."""

from collections.abc import Iterator
from typing import Any

from tests.benchmarks.figures import ROOT, measured

PAGE = ROOT / "docs" / "clickhouse-measured.md"
BEGIN = "<!-- Results: python -m tests.benchmarks.database_figures -->\n"
END = "<!-- End of results -->"
# What is to be reached with AVX-512 BITALG, by measure, network, side and images.
WANTED = {
    ("top-1", "LeNet-binary", "wasm, classes", 10_000): "98.7 %",
    ("speed", "BinaryCNN", "wasm", 100): "ratio 8",
    ("speed", "BinaryCNN", "wasm", 10_000): "ratio 25",
    ("speed", "LeNet-binary", "wasm", 10_000): "ratio 6",
    ("speed", "ResNet-18-binary", "wasm", 100): "ratio 3",
    ("latency", "BinaryCNN", "wasm", 1): "at most 0.6",
    ("latency", "LeNet-binary", "wasm", 1): "at most 0.6",
    ("threads", "BinaryCNN", "2 threads", 10_000): "ratio 1.7",
    ("threads", "LeNet-binary", "2 threads", 10_000): "ratio 1.7",
    ("queries", "BinaryCNN", "wasm", 10_000): "ratio 1,000",
    ("queries", "LeNet-binary", "wasm", 10_000): "ratio 1,000",
    ("int8 products", "", "inputs of 7 bits", 100): "70",
    ("int8 products", "", "inputs of 8 bits", 100): "30",
    ("stored bytes", "LeNet-binary", "weights", 0): "ratio 27",
    ("stored bytes", "ResNet-18-binary", "weights", 0): "ratio 25",
}


def lines() -> Iterator[str]:
    """Yield the text of all measures: a heading and a table each."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in measured("database"):
        groups.setdefault(row["measure"], []).append(row)
    for measure, rows in groups.items():
        yield f"### {measure}\n"
        yield "| network | weights | side | images | threads | value | | ratio | wanted | load |"
        yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
        for row in rows:
            yield f"| {' | '.join(_cells(row))} |".replace("|  |", "| |")
        yield ""


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    images = f"{row['images']:,}" if row["images"] else ""
    value = f"{row['value']:,}" if isinstance(row["value"], int) else f"{row['value']:.3g}"
    wanted = WANTED.get((row["measure"], row["network"], row["side"], row["images"]), "")
    load = f"{row['machine']['load_average']:.1f}"
    return (
        *(row["network"], row["weights"], row["side"], images, str(row["threads"])),
        *(value, row["unit"], f"{row['ratio']:.3g}", wanted, load),
    )


def on_page(page: str) -> str:
    """Return the text of all measures that a page has."""
    return page.split(BEGIN)[1].split(END)[0].strip()


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    after = "\n".join(["", *lines(), END])
    PAGE.write_text(before + BEGIN + after + rest.split(END)[1], encoding="utf-8")


if __name__ == "__main__":
    main()
