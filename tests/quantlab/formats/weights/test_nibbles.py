"""Gaps and codes of four bits: the documented bytes, long gaps, and bytes that no codes are stored
as."""

import numpy as np
import pytest

from quantlab.errors import UsageError
from quantlab.formats.weights.encoding import Encoded
from quantlab.formats.weights.nibbles import Nibbles


def test_bytes_are_those_documented() -> None:
    codes = np.zeros((3, 40), np.int8)
    codes[0, [0, 3, 20]] = 5, -8, 7
    codes[2, 1] = -1
    stream = Nibbles().encode(codes).arrays["stream"]
    assert stream.tolist() == [0x50, 0x82, 1, 0x70, 0, 0, 0xF1, 0]


@pytest.mark.parametrize(
    ("gap", "expected"),
    [
        (14, [0x3E]),
        (15, [0x3F]),
        (16, [1, 0x30]),
        (17, [1, 0x31]),
        (239, [14, 0x3F]),
        (240, [15, 0x30]),
        (255, [15, 0x3F]),
        (256, [15, 1, 0x30]),
        (480, [15, 15, 0x30]),
    ],
)
def test_gaps(gap: int, expected: list[int]) -> None:
    codes = np.zeros((1, 500), np.int8)
    codes[0, gap] = 3
    assert Nibbles().encode(codes).arrays["stream"].tolist() == [*expected, 0]


def test_codes_of_more_bits_are_refused() -> None:
    with pytest.raises(UsageError, match=r"^nibbles: codes\[0, 1\] is 8, -8\.\.7 allowed$"):
        Nibbles().encode(np.array([[7, 8]], np.int8))


@pytest.mark.parametrize(
    "stream",
    [
        [],
        [0x50, 0x50],
        [0x52, 0],  # beyond the row
        [1, 0],  # zeros that no entry follows
        [1, 0x50, 0],
        [0x50, 0, 0],
    ],
)
def test_damaged(stream: list[int]) -> None:
    arrays = {"stream": np.array(stream, np.uint8)}
    with pytest.raises(UsageError, match=r"^nibbles: "):
        Nibbles().decode(Encoded(encoding="nibbles", arrays=arrays), (1, 2))
