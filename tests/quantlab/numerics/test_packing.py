"""Codes come back as they were, whatever their type, sign and shape."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from quantlab.errors import UsageError
from quantlab.numerics.packing import pack_codes, popcount_rows, unpack_codes
from quantlab.numerics.ranges import integer_range


@st.composite
def code_lists(draw: st.DrawFn) -> tuple[list[int], int, bool]:
    signed = draw(st.booleans())
    num_bits = draw(st.integers(2 if signed else 1, 8))
    allowed = integer_range(num_bits, signed=signed)
    code = st.integers(allowed.quant_min, allowed.quant_max)
    return draw(st.lists(code, max_size=150)), num_bits, signed


@given(code_lists(), st.sampled_from([np.int8, np.int16, np.int64, np.uint8, np.uint32]))
def test_round_trip(case: tuple[list[int], int, bool], dtype: type[np.integer]) -> None:
    codes, num_bits, signed = case
    allowed = np.iinfo(dtype)
    if any(not allowed.min <= code <= allowed.max for code in codes):
        dtype = np.int64
    packed = pack_codes(np.array(codes, dtype), num_bits, signed=signed)
    as_number = sum((code % 2**num_bits) << i * num_bits for i, code in enumerate(codes))
    assert packed.tobytes() == as_number.to_bytes((len(codes) * num_bits + 7) // 8, "little")
    back = unpack_codes(packed, len(codes), num_bits, signed=signed)
    assert back.dtype == (np.int8 if signed else np.uint8)
    assert back.tolist() == codes


def test_any_shape_in_c_order() -> None:
    codes = np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1)[:, ::-1]
    flat = np.ascontiguousarray(codes).ravel()
    assert_array_equal(pack_codes(codes, 5, signed=False), pack_codes(flat, 5, signed=False))


def test_codes_are_left_alone() -> None:
    codes = np.array([-1, 1], np.int8)
    pack_codes(codes, 2, signed=True)
    assert codes.tolist() == [-1, 1]


@pytest.mark.parametrize(
    ("codes", "num_bits", "signed", "message"),
    [
        ([1, 7, 8, -8], 4, True, r"codes\[2\]: 8 does not fit; .* signed .* is -8\.\.7"),
        ([0, -1], 8, False, r"codes\[1\]: -1 does not fit; .* unsigned .* is 0\.\.255"),
        ([0, 256], 8, False, r"codes\[1\]: 256 does not fit"),
        ([0], 0, False, r"num_bits: 0"),
        ([0], 9, False, r"num_bits: 9 given, at most 8"),
        ([0], 1, True, r"num_bits: 1 given with signed=True"),
        ([0.5], 4, False, r"codes: float64 array; allowed are integers"),
    ],
)
def test_pack_refuses(codes: list[float], num_bits: int, signed: bool, message: str) -> None:
    with pytest.raises(UsageError, match=f"^{message}"):
        pack_codes(np.array(codes), num_bits, signed=signed)


def test_unpack_refuses_a_wrong_number_of_bytes() -> None:
    with pytest.raises(UsageError, match=r"^packed: 3 bytes; allowed is 2"):
        unpack_codes(np.zeros(3, np.uint8), 4, 4, signed=False)


def test_popcount_rows() -> None:
    words = np.array([[0, 2**64 - 1], [1, 3]], np.uint64)
    assert popcount_rows(words).tolist() == [64, 3]
