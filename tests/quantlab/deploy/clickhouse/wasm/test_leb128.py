"""LEB128 against the specification's examples and its inverse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantlab.deploy.clickhouse.wasm.leb128 import read_unsigned, signed, unsigned


def test_examples() -> None:
    assert unsigned(624485) == b"\xe5\x8e\x26"
    assert signed(-123456) == b"\xc0\xbb\x78"
    assert [signed(value) for value in (0, 63, 64, -64, -65)] == [
        b"\x00", b"\x3f", b"\xc0\x00", b"\x40", b"\xbf\x7f",
    ]  # fmt: skip


@given(value=st.integers(0, 2**64), before=st.binary(max_size=3))
def test_unsigned_round_trip(value: int, before: bytes) -> None:
    data = before + unsigned(value)
    assert read_unsigned(data + b"\x80", len(before)) == (value, len(data))


@given(value=st.integers(-(2**63), 2**63 - 1))
def test_signed_round_trip(value: int) -> None:
    data = signed(value)
    found = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(data))
    assert found - (data[-1] >> 6 & 1) * (1 << 7 * len(data)) == value
    assert all(byte & 0x80 for byte in data[:-1])


def test_what_is_cut_is_an_error() -> None:
    with pytest.raises(IndexError):
        read_unsigned(b"\x80\x80", 0)
