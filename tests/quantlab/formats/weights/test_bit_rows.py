"""Rows of bits: those of the library's packed codes, each row by itself."""

import numpy as np
import pytest

from quantlab.formats.weights.bit_rows import pack_rows, row_bytes, unpack_rows
from quantlab.numerics.packing import pack_codes


@pytest.mark.parametrize("num_bits", range(1, 9))
def test_rows_are_packed_as_codes_are(num_bits: int) -> None:
    random = np.random.default_rng(num_bits)
    for columns in (1, 7, 8, 13):
        elements = random.integers(0, 1 << num_bits, (3, columns)).astype(np.uint8)
        packed = pack_rows(elements, num_bits)
        expected = [pack_codes(row, num_bits, signed=False) for row in elements]
        assert np.array_equal(packed, np.concatenate(expected))
        assert len(packed) == 3 * row_bytes(columns, num_bits)
        assert np.array_equal(unpack_rows(packed, (3, columns), num_bits), elements)
