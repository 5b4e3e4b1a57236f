"""Gaps in bytes: the documented entries, and rows that fill no block."""

import numpy as np
import pytest

from quantlab.errors import UsageError
from quantlab.formats.weights.blocks import Blocks
from quantlab.formats.weights.encoding import Encoded


@pytest.mark.parametrize(
    ("gap", "gaps", "values"),
    [
        (0, [0], [-128]),
        (254, [254], [-128]),
        (255, [255], [-128]),
        (256, [255, 0], [0, -128]),
        (509, [255, 253], [0, -128]),
        (511, [255, 255], [0, -128]),
        (512, [255, 255, 0], [0, 0, -128]),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 4])
def test_gaps_are_those_documented(size: int, gap: int, gaps: list[int], values: list[int]) -> None:
    codes = np.zeros((2, (gap + 3) * size), np.int8)
    codes[0, gap * size + size - 1] = -128
    arrays = Blocks(size).encode(codes).arrays
    assert arrays["sizes"].tolist() == [len(gaps), 0]
    assert arrays["gaps"].tolist() == gaps
    assert arrays["values"].reshape(-1, size)[:, -1].tolist() == values
    assert not arrays["values"].reshape(-1, size)[:, :-1].any()


def test_what_fills_no_block_is_stored() -> None:
    codes = np.array([[0, 0, 0, 0, 1, 2, 3, 4, 0, 6], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]], np.int8)
    arrays = Blocks(4).encode(codes).arrays
    assert arrays["sizes"].tolist() == [1, 0]
    assert arrays["gaps"].tolist() == [1]
    assert arrays["values"].tolist() == [1, 2, 3, 4, 0, 6, 0, 0]


def test_a_row_that_ends_with_an_entry_of_zeros_is_refused() -> None:
    arrays = {
        "sizes": np.array([1], np.uint16),
        "gaps": np.array([255], np.uint8),
        "values": np.array([0], np.int8),
    }
    with pytest.raises(UsageError, match=r"^delta: array 'sizes' holds what no codes are stored"):
        Blocks(1).decode(Encoded(encoding="delta", arrays=arrays), (1, 400))


def test_an_entry_behind_the_last_column_is_refused() -> None:
    encoded = Blocks(4).encode(np.ones((1, 9), np.int8))
    encoded.arrays["gaps"][1] = 1
    with pytest.raises(
        UsageError, match=r"^block4: array 'gaps' holds what no codes are stored as"
    ):
        Blocks(4).decode(encoded, (1, 9))


def test_too_many_columns() -> None:
    encoded = Blocks(1).encode(np.zeros((1, 65_535), np.int8))
    reason = r"^delta: 65536 columns given, at most 65535 allowed$"
    with pytest.raises(UsageError, match=reason):
        Blocks(1).encode(np.zeros((1, 65_536), np.int8))
    with pytest.raises(UsageError, match=reason):
        Blocks(1).decode(encoded, (1, 65_536))


@pytest.mark.parametrize("size", [0, 256])
def test_wrong_size(size: int) -> None:
    with pytest.raises(UsageError, match=rf"^block: size {size} given, 1\.\.255 allowed$"):
        Blocks(size)
