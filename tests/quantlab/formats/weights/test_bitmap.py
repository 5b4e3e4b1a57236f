"""The bitmap: the documented bits, and bits behind the last column."""

import numpy as np
import pytest

from quantlab.errors import UsageError
from quantlab.formats.weights.bitmap import Bitmap
from quantlab.formats.weights.encoding import Encoded


def test_bits_are_those_documented() -> None:
    codes = np.array([[0, 5, 0, 0, 0, 0, 0, -6, 7], [0, 0, 0, 0, 0, 0, 0, 0, 0]], np.int8)
    arrays = Bitmap().encode(codes).arrays
    assert arrays["bitmap"].tolist() == [0b10000010, 0b1, 0, 0]
    assert arrays["values"].tolist() == [5, -6, 7]


def test_a_bit_behind_the_last_column_is_refused() -> None:
    encoded = Bitmap().encode(np.ones((1, 3), np.int8))
    encoded.arrays["bitmap"][0] |= 8
    changed = Encoded(encoding="bitmap", arrays=encoded.arrays)
    with pytest.raises(UsageError, match=r"^bitmap: array 'bitmap' holds what no codes are stored"):
        Bitmap().decode(changed, (1, 3))
