"""Rice codes: the documented bytes, entries of 25 bits at most, sizes near the entropy, and bytes
that no codes are stored as."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantlab.errors import UsageError
from quantlab.formats.weights.encoding import Encoded
from quantlab.formats.weights.rice import Rice


def stream(codes: list[list[int]]) -> list[int]:
    """Return the bytes of codes."""
    return [int(byte) for byte in Rice().encode(np.array(codes, np.int8)).arrays["stream"]]


def test_bytes_are_those_documented() -> None:
    """Two values, gaps of 1 bit, no bits for values, sizes of 2: in the rows three entries, none
    and one."""
    found = stream([[0, 3, 0, 0, 0, -1, 3], [0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 3, 0, 0, 0]])
    bits = "11 11 1 011 01 10 1" + " 00" + " 01 011 1"
    packed = int(bits.replace(" ", "").ljust(24, "0"), 2).to_bytes(3, "big")
    assert found == [1, 1, 0, 2, 3, 255, *packed, 0, 0, 0]


def test_sixteen_rows_later_a_byte_begins() -> None:
    assert stream([[1]] * 16) == [0, 0, 0, 1, 1, *[0b11111111] * 6, 0, 0, 0]
    assert stream([[1]] * 17) == [0, 0, 0, 1, 1, *[0b11111111] * 6, 0b11100000, 0, 0, 0]


def test_no_codes_have_a_bit_for_each_row() -> None:
    assert stream([[0, 0]] * 9) == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]


def test_a_long_gap_is_cut_by_a_zero() -> None:
    """One weight in each 3 columns makes the codes of gaps short; a gap of 1,000 is too long for
    them."""
    codes = np.zeros((1, 4001), np.int8)
    codes[0, :3000:3] = 5
    codes[0, -1] = 5
    encoded = Rice().encode(codes)
    num_values, gap_bits, _, _, *values = encoded.arrays["stream"][:6].tolist()
    assert (num_values, values) == (1, [5, 0])
    assert 25 << gap_bits < 1003
    assert np.array_equal(Rice().decode(encoded, codes.shape), codes)


@settings(max_examples=30, deadline=None)
@given(
    density=st.floats(0, 1),
    num_bits=st.integers(2, 8),
    columns=st.integers(1, 700),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_entry_has_more_than_25_bits(
    density: float, num_bits: int, columns: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    half = 1 << num_bits - 1
    spread = random.integers(-half, half, (3, columns)) // random.integers(1, 9, (3, columns))
    kept = random.random((3, columns)) < density ** random.uniform(0.5, 4, (1, columns))
    codes = (spread * kept).astype(np.int8)
    encoded = Rice().encode(codes)
    assert Rice().nbytes(codes) == encoded.nbytes
    assert np.array_equal(Rice().decode(encoded, codes.shape), codes)
    stream = encoded.arrays["stream"]
    last, gap_bits, value_bits, size_bits = stream[:4].tolist()
    bits = "".join(f"{byte:08b}" for byte in stream[5 + last : -3])
    at = 0
    for _ in range(3):
        size = int(bits[at : at + size_bits], 2)
        at += size_bits
        for _ in range(size):
            begin = at
            for num in (gap_bits, value_bits):
                at = bits.index("1", at) + 1 + num
            assert at - begin <= 25


@pytest.mark.parametrize("density", [0.03, 0.1, 0.3])
def test_sizes_are_near_the_entropy(density: float) -> None:
    random = np.random.default_rng(2)
    values = np.clip(random.normal(0, 3, (64, 576)).round(), -7, 7)
    codes = np.where(random.random(values.shape) < density, values, 0).astype(np.int8)
    _, counts = np.unique(codes, return_counts=True)
    shares = counts / codes.size
    entropy = -(shares * np.log2(shares)).sum() * codes.size / 8
    assert entropy < Rice().nbytes(codes) < 1.1 * entropy


@pytest.mark.parametrize(
    "stream",
    [
        [],
        [0, 0, 0],
        [3, 0, 0, 1, 1],
        [0, 0, 0, 1, 1],  # no rows
        [0, 0, 0, 1, 1, 0b11100000, 0, 0],  # too short
        [0, 0, 0, 1, 1, 0b11100000, 0, 0, 1],
        [0, 0, 0, 1, 1, 0b11110000, 0, 0, 0],  # bits behind the row
        [0, 0, 0, 1, 1, 0b10010000, 0, 0, 0],  # the row has two columns
        [0, 0, 0, 1, 1, 0b11010000, 0, 0, 0],  # and the layer one value
        [0, 0, 0, 2, 1, 0b01110000, 0, 0, 0],  # one bit is enough for sizes
        [0, 1, 0, 1, 1, 0b11010000, 0, 0, 0],  # and none for gaps
        [0, 0, 0, 1, 0, 0b11100000, 0, 0, 0],  # zero
        [1, 0, 0, 1, 1, 2, 0b11100000, 0, 0, 0],  # a value that no code has
    ],
)
def test_damaged(stream: list[int]) -> None:
    arrays = {"stream": np.array(stream, np.uint8)}
    with pytest.raises(UsageError, match=r"^rice: "):
        Rice().decode(Encoded(encoding="rice", arrays=arrays), (1, 2))
