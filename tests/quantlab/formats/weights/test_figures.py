"""docs/c.md has the bytes of a nonzero weight with each encoding."""

from pathlib import Path

import numpy as np
import pytest

from quantlab.formats.weights.table import ENCODINGS

PAGE = Path(__file__).resolve().parents[4] / "docs" / "c.md"
NAMES = ("csr8", "delta4", "bitmap", "bits4", "nibbles", "rice")
DENSITIES = (0.01, 0.03, 0.05, 0.1, 0.2, 0.3)


def line(num_bits: int, density: float) -> str:
    """Return a row of the table: normal weights `[64, 576]`, the largest of them as codes."""
    values = np.random.default_rng(0).normal(size=(64, 576))
    sizes = np.abs(values)
    kept = values * (sizes > np.quantile(sizes, 1 - density))
    codes = (kept / sizes.max() * (2 ** (num_bits - 1) - 1)).round().astype(np.int8)
    left = np.count_nonzero(codes)
    cells = [
        f"{encoding.nbytes(codes) / left:.2f}" if encoding.obstacle(codes) is None else "-"
        for encoding in map(ENCODINGS.__getitem__, NAMES)
    ]
    return f"| {num_bits} bits | {100 * density:.0f} % | {' | '.join(cells)} |"


@pytest.mark.parametrize("num_bits", [4, 8])
@pytest.mark.parametrize("density", DENSITIES)
def test_the_page_has_the_bytes_of_a_nonzero_weight(num_bits: int, density: float) -> None:
    assert line(num_bits, density) in PAGE.read_text(encoding="utf-8").splitlines()
