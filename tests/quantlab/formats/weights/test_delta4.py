"""Gaps in four bits: the documented bytes, long gaps, and bytes that no codes are stored as."""

import numpy as np
import pytest

from quantlab.errors import UsageError
from quantlab.formats.weights.delta4 import Delta4
from quantlab.formats.weights.encoding import Encoded


def test_bytes_are_those_documented() -> None:
    codes = np.zeros((2, 256), np.int8)
    codes[0, [0, 3, 18, 255]] = 5, -128, 7, 9
    stream = Delta4().encode(codes).arrays["stream"]
    assert stream.tolist() == [2, 3 << 4, 5, 128, 15, 7, 0, 1, 0, 9, 0, 0, 0]


@pytest.mark.parametrize(
    ("gap", "expected"),
    [
        (15, [1, 15, 3, 0, 0]),
        (16, [1, 15 | 1 << 4, 0, 3, 0]),
        (30, [1, 255, 0, 3, 0]),
        (31, [2, 255, 0, 0, 1, 3, 0, 0]),
        (255, [0, 1, 0, 3, 0]),
        (271, [0, 1, 15 | 1 << 4, 0, 3]),
    ],
)
def test_gaps(gap: int, expected: list[int]) -> None:
    codes = np.zeros((1, 300), np.int8)
    codes[0, gap] = 3
    assert Delta4().encode(codes).arrays["stream"].tolist() == expected


@pytest.mark.parametrize(
    "stream", [[1, 3, 5, 0], [1, 0x21, 5, 6], [1, 0x11, 5], [1], [1, 2, 0, 0], [1, 0, 5, 6]]
)
def test_damaged(stream: list[int]) -> None:
    arrays = {"stream": np.array(stream, np.uint8)}
    with pytest.raises(UsageError, match=r"^delta4: "):
        Delta4().decode(Encoded(encoding="delta4", arrays=arrays), (1, 3))
