"""The figures of floats in docs/c.md: `python -m tests.benchmarks.float_figures` writes what was
measured."""

from collections.abc import Iterator

from tests.benchmarks.figures import PAGE, measured

_ROWS = "| digits | M", "| digits, pruned | M"


def lines() -> Iterator[str]:
    """Yield the rows of the table: a network on a core, ours beside emx-onnx-cgen's."""
    rows = {(r["network"], r["core"], r["side"]): r for r in measured("float_microcontrollers")}
    for (network, core, side), own in rows.items():
        if side == "QuantLab":
            peer = rows[network, core, own["peer"]]
            sizes = [own[name] for name in ("flash_bytes", "arena_bytes", "stack_bytes")]
            peers = [peer[name] for name in ("flash_bytes", "stack_bytes")]
            cells = [
                *(f"{size:,}" for size in sizes),
                f"{own['instructions'] / 1e6:.2f}",
                *(f"{size:,}" for size in peers),
                f"{peer['instructions'] / 1e6:.2f}",
                f"{own['ratio']:.1f}",
            ]
            yield f"| {network} | {core.removeprefix('Cortex-')} | {' | '.join(cells)} |"


def on_page(page: str) -> list[str]:
    """Return the rows of the table that a page has."""
    section = page.partition("\n## Floats\n")[2].partition("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith(_ROWS)]


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    before, after = "\n".join(on_page(page)), "\n".join(lines())
    PAGE.write_text(page.replace(before, after), encoding="utf-8")


if __name__ == "__main__":
    main()
