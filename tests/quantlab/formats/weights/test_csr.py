"""Compressed sparse rows against scipy's, and rows that are too long."""

import numpy as np
import pytest
from scipy import sparse

from quantlab.errors import UsageError
from quantlab.formats.weights.csr import Csr
from tests.quantlab.formats.weights.cases import EDGES


@pytest.mark.parametrize("codes", EDGES.values(), ids=EDGES)
def test_rows_are_those_of_scipy(codes: np.ndarray) -> None:
    arrays = Csr().encode(codes).arrays
    expected = sparse.csr_array(codes)
    assert np.array_equal(arrays["values"], expected.data)
    assert np.array_equal(arrays["columns"], expected.indices)
    assert np.array_equal(arrays["sizes"], np.diff(expected.indptr))


def test_more_codes_than_16_bits_can_count() -> None:
    codes = np.ones((3, 30_000), np.int8)
    encoded = Csr().encode(codes)
    assert encoded.arrays["sizes"].tolist() == [30_000] * 3
    assert np.array_equal(Csr().decode(encoded, codes.shape), codes)


def test_the_last_column_that_fits() -> None:
    codes = np.zeros((1, 65_535), np.int8)
    codes[0, -1] = 7
    encoded = Csr().encode(codes)
    assert encoded.arrays["columns"].tolist() == [65_534]
    assert np.array_equal(Csr().decode(encoded, codes.shape), codes)


def test_too_many_columns() -> None:
    encoded = Csr().encode(np.zeros((1, 65_535), np.int8))
    reason = r"^csr: 65536 columns given, at most 65535 allowed$"
    with pytest.raises(UsageError, match=reason):
        Csr().encode(np.zeros((1, 65_536), np.int8))
    with pytest.raises(UsageError, match=reason):
        Csr().decode(encoded, (1, 65_536))
