"""N:M sparsity: the documented bits, and groups with too many codes."""

import numpy as np
import pytest

from quantlab.errors import UsageError
from quantlab.formats.weights.encoding import Encoded
from quantlab.formats.weights.pattern import Pattern


def test_places_are_those_documented() -> None:
    codes = np.array([[0, 5, 0, -6, 0, 0, 7, 0, 8], [0, 0, 0, 0, 0, 0, 0, 0, 9]], np.int8)
    arrays = Pattern(2, 4).encode(codes).arrays
    assert arrays["values"].tolist() == [5, -6, 7, 0, 8, 0, 0, 0, 0, 0, 9, 0]
    assert arrays["places"].tolist() == [0b00_10_11_01, 0, 0, 0]
    wide = np.array([[0, 0, 0, 0, 0, 0, 0, 3, 0, 4]], np.int8)
    arrays = Pattern(1, 8).encode(wide).arrays
    assert arrays["values"].tolist() == [3, 4]
    assert arrays["places"].tolist() == [0x17]


def test_a_group_with_too_many_codes_is_named() -> None:
    codes = np.array([[1, 0, 0, 1, 0, 0], [0, 0, 0, 0, 1, 1]], np.int8)
    with pytest.raises(UsageError) as error:
        Pattern(1, 4).encode(codes[1:])
    assert str(error.value) == ("1:4: 2 nonzero codes in row 0, columns 4..5, at most 1 allowed")
    with pytest.raises(UsageError, match=r"in row 0, columns 0\.\.3, at most 1 allowed$"):
        Pattern(1, 4).encode(codes)


@pytest.mark.parametrize(
    ("places", "reason"), [([9], "'places' holds what no codes"), ([5], "'values' holds what no")]
)
def test_places_outside_the_row_are_refused(places: list[int], reason: str) -> None:
    arrays = {"values": np.array([3], np.int8), "places": np.array(places, np.uint8)}
    with pytest.raises(UsageError, match=f"^1:8: array {reason}"):
        Pattern(1, 8).decode(Encoded(encoding="1:8", arrays=arrays), (1, 5))


@pytest.mark.parametrize(
    ("n", "m", "reason"),
    [
        (1, 3, "groups of 3 columns given, 2, 4, 8, 16 allowed"),
        (0, 4, r"0 codes of 4 given, 1\.\.3 allowed"),
        (4, 4, r"4 codes of 4 given, 1\.\.3 allowed"),
    ],
)
def test_wrong_pattern(n: int, m: int, reason: str) -> None:
    with pytest.raises(UsageError, match=f"^N:M: {reason}$"):
        Pattern(n, m)
