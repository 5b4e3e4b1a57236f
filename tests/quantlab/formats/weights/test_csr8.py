"""Sparse rows in bytes: the documented bytes, gaps, and bytes that no codes are stored as."""

import numpy as np
import pytest

from quantlab.errors import UsageError
from quantlab.formats.weights.csr8 import Csr8
from quantlab.formats.weights.encoding import Encoded


def test_bytes_are_those_documented() -> None:
    codes = np.zeros((2, 256), np.int8)
    codes[0, [0, 254, 255]] = 5, -128, 7
    stream = Csr8().encode(codes).arrays["stream"]
    assert stream.tolist() == [2, 0, 5, 254, 128, 1, 0, 7, 0, 0]


def test_blocks_are_those_documented() -> None:
    codes = np.zeros((1, 4 * 256), np.int8)
    codes[0, [1, 2, 4 * 255]] = 5, -6, 7
    stream = Csr8(4).encode(codes).arrays["stream"]
    assert stream.tolist() == [1, 0, 0, 5, 250, 0, 1, 0, 7, 0, 0, 0]


def test_what_fills_no_block_ends_a_row() -> None:
    codes = np.array([[0, 0, 0, 0, 8, 9], [0, 1, 0, 0, 0, 0]], np.int8)
    stream = Csr8(4).encode(codes).arrays["stream"]
    assert stream.tolist() == [0, 8, 9, 1, 0, 0, 1, 0, 0, 0, 0]


@pytest.mark.parametrize("size", [0, 256])
def test_wrong_size(size: int) -> None:
    with pytest.raises(UsageError, match=rf"^csr8: size {size} given, 1\.\.255 allowed$"):
        Csr8(size)


@pytest.mark.parametrize("gap", [254, 255, 256, 509, 510])
def test_gaps(gap: int) -> None:
    codes = np.zeros((1, 600), np.int8)
    codes[0, gap] = 3
    before, after = divmod(gap, 255)
    stream = Csr8().encode(codes).arrays["stream"]
    assert stream.tolist() == [0] * before + [1, after, 3] + [0] * (2 - before)


@pytest.mark.parametrize("stream", [[1, 3, 5], [1, 255, 5], [1], [2, 1, 5, 1, 6], [2, 1, 5, 0, 6]])
def test_damaged(stream: list[int]) -> None:
    arrays = {"stream": np.array(stream, np.uint8)}
    with pytest.raises(UsageError, match=r"^csr8: "):
        Csr8().decode(Encoded(encoding="csr8", arrays=arrays), (1, 3))
