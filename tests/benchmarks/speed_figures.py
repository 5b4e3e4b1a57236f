"""The times of compiled networks in docs/generation-execution.md and README.md: `python -m
tests.benchmarks.speed_figures` writes what was measured."""

from collections.abc import Iterable, Iterator
from typing import Any

from benchmarks.generation.integers import FACTORS
from benchmarks.generation_speed import FUSED, FUSED_HALF, ONNX, PREPACKED, STAGES
from benchmarks.harness import RESULTS
from tests.benchmarks.figures import ROOT, measured

Sides = dict[str, dict[str, Any]]
PAGE = ROOT / "docs" / "generation-execution.md"
NETWORKS = {"AVX-512": "generation_speed", "AVX2": "generation_speed_avx2"}
README, COMMAND = ROOT / "README.md", "`python -m benchmarks.generation_speed`"
OF_AMX = "generation_speed_xeon"
LAYERS = "generation_speed_layers"
HEADS = {"networks": "| instructions |", "layers": "| layer |"}


def network_lines() -> Iterator[str]:
    """Yield a row for each instruction set, number of threads and of images."""
    for instructions, name in NETWORKS.items():
        for sides in _measurements(name):
            yield _line(instructions, sides, FUSED)
        for sides in _measurements(name):
            if FACTORS in sides:
                yield _line(f"{instructions}, integers", sides, FACTORS)
    if not (RESULTS / f"{OF_AMX}.json").exists():
        yield f"| AMX, bfloat16 | | | not measured {'| ' * 6}".rstrip()
        return
    for sides in _measurements(OF_AMX):
        yield _line("Xeon, AVX-512", sides, FUSED)
        if FUSED_HALF in sides:
            yield _line("AMX, bfloat16", sides, FUSED_HALF)


def _measurements(name: str) -> Iterable[Sides]:
    """Return the rows of each number of threads and of images, by side."""
    found: dict[tuple[int, int], Sides] = {}
    for row in measured(name):
        found.setdefault((row["threads"], row["images"]), {})[row["side"]] = row
    return found.values()


def _line(instructions: str, sides: Sides, side: str) -> str:
    own = sides[side]
    times = {name: f"{row['ms_an_image']:.2f}" for name, row in sides.items()}
    others = (times.get(ONNX, ""), times[STAGES]) if side == FUSED else ("", "")
    cells = (
        instructions,
        str(own["threads"]),
        str(own["images"]),
        times[own["peer"]],
        *others,
        times[side],
        f"{own['ratio']:.1f}",
        f"{100 * own['roof']:.0f} %",
    )
    return f"| {' | '.join(cells)} |"


def layer_lines() -> Iterator[str]:
    """Yield a row for each kind of layer, with one image and with 64."""
    found: dict[str, dict[tuple[str, int], dict[str, Any]]] = {}
    for row in measured(LAYERS):
        found.setdefault(row["layer"], {})[row["mode"], row["images"]] = row
    for layer, by_mode in found.items():
        cells = [layer]
        for mode in (PREPACKED, "two_stage", "factored", FUSED):
            both = [by_mode[mode, images] for images in (1, 64) if (mode, images) in by_mode]
            cells.append(", ".join(f"{row['ms']:.3g}" for row in both))
        fused = [by_mode[FUSED, images] for images in (1, 64)]
        cells.append(", ".join(f"{100 * row['roof']:.0f} %" for row in fused))
        cells += [f"{by_mode[mode, 1]['weight_bytes']:,}" for mode in (PREPACKED, FUSED)]
        yield f"| {' | '.join(cells)} |"


LINES = {"networks": network_lines, "layers": layer_lines}


def readme_line() -> str:
    """Return the row of README.md: on one thread, with one image and with 64."""
    ratios = {
        (row["images"], name): row["ratio"]
        for name in NETWORKS.values()
        for row in measured(name)
        if row["side"] == FUSED and row["threads"] == 1
    }
    plain, avx2 = (
        ", ".join(f"{ratios[images, name]:.1f}" for images in (1, 64)) for name in NETWORKS.values()
    )
    cells = (
        "ResNet-18/CIFAR of generated weights, one thread, one image and 64, the best dense to it",
        f"{plain} (AVX2: {avx2})",
        "2 cores of an AMD EPYC, AVX-512",
        COMMAND,
    )
    return f"| {' | '.join(cells)} |"


def on_page(page: str, table: str) -> list[str]:
    """Return the rows of a table that a page has."""
    rows = page.splitlines()
    return rows[_place(rows, table)]


def _place(rows: list[str], table: str) -> slice:
    first = next(i for i, row in enumerate(rows) if row.startswith(HEADS[table])) + 2
    return slice(first, next(i for i in range(first, len(rows)) if not rows[i]))


def main() -> None:
    rows = PAGE.read_text(encoding="utf-8").splitlines()
    for table, made in LINES.items():
        rows[_place(rows, table)] = made()
    PAGE.write_text("\n".join(rows) + "\n", encoding="utf-8")
    lines = README.read_text(encoding="utf-8").splitlines()
    changed = [readme_line() if COMMAND in line else line for line in lines]
    README.write_text("\n".join(changed) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
