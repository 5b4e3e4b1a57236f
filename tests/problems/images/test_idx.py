"""The IDX parser: what it writes it reads, and nothing else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from problems.images.idx import format_idx, parse_idx
from quantlab.errors import DataError

ARRAYS = arrays(np.uint8, array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5))


@given(array=ARRAYS)
def test_round_trip(array: NDArray[np.uint8]) -> None:
    parsed = parse_idx(format_idx(array), "x", num_dims=array.ndim)
    assert parsed.shape == array.shape
    assert np.array_equal(parsed, array)


def test_header_is_that_of_the_official_files() -> None:
    raw = format_idx(np.zeros((60000, 28, 28), np.uint8))
    assert raw[:16].hex() == "00000803" + "0000ea60" + "0000001c" + "0000001c"


@settings(deadline=None)
@given(array=ARRAYS, data=st.data())
def test_every_truncation_is_found(array: NDArray[np.uint8], data: st.DataObject) -> None:
    raw = format_idx(array)
    size = data.draw(st.integers(0, len(raw) - 1))
    with pytest.raises(DataError, match=r"^some\.idx: .*bytes"):
        parse_idx(raw[:size], "some.idx", num_dims=array.ndim)


@pytest.mark.parametrize("size", range(16))
def test_truncation_within_the_header(size: int) -> None:
    raw = format_idx(np.zeros((2, 3, 4), np.uint8))
    with pytest.raises(DataError, match=rf"truncated: {size} bytes; the IDX header has 16"):
        parse_idx(raw[:size], "x", num_dims=3)


@pytest.mark.parametrize("place", range(16))
def test_every_flipped_header_byte_is_found(place: int) -> None:
    raw = bytearray(format_idx(np.zeros((2, 3, 4), np.uint8)))
    raw[place] ^= 0x40
    with pytest.raises(DataError, match="magic number" if place < 4 else "its header says"):
        parse_idx(bytes(raw), "x", num_dims=3)


def test_too_long_and_wrong_rank() -> None:
    raw = format_idx(np.zeros((2, 3), np.uint8))
    with pytest.raises(DataError, match="19 bytes; its header says 18"):
        parse_idx(raw + b"\0", "x", num_dims=2)
    with pytest.raises(DataError, match="expected 0x00000801"):
        parse_idx(raw, "x", num_dims=1)
