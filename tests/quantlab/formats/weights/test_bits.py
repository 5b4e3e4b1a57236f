"""Codes of few bits: the documented bits, and what does not fit."""

import numpy as np
import pytest

from quantlab.errors import UsageError
from quantlab.formats.weights.bits import Bits


def test_bits_are_those_documented() -> None:
    ternary = np.array([[1, 0, -1, 0, 1], [-1, -1, 0, 0, 0]], np.int8)
    bits = Bits(2).encode(ternary).arrays["bits"]
    assert bits.tolist() == [0b00_11_00_01, 0b01, 0b00_00_11_11, 0]
    binary = np.array([[1, -1, 1], [-1, -1, 1]], np.int8)
    assert Bits(1).encode(binary).arrays["bits"].tolist() == [0b101, 0b100]
    assert Bits(3).encode(np.array([[-4, 3, 1]], np.int8)).arrays["bits"].tolist() == [
        0b01011100,
        0,
    ]


@pytest.mark.parametrize(
    ("num_bits", "code", "allowed"),
    [
        (1, 0, "-1 and 1"),
        (1, -128, "-1 and 1"),
        (2, 2, "-2..1"),
        (4, -9, "-8..7"),
        (7, 64, "-64..63"),
    ],
)
def test_a_code_that_does_not_fit_is_named(num_bits: int, code: int, allowed: str) -> None:
    codes = np.ones((3, 4), np.int8)
    codes[1, 2] = codes[2, 0] = code
    reason = f"bits{num_bits}: codes[1, 2] is {code}, {allowed} allowed"
    with pytest.raises(UsageError) as error:
        Bits(num_bits).encode(codes)
    assert str(error.value) == reason


@pytest.mark.parametrize("num_bits", [0, 8])
def test_wrong_width(num_bits: int) -> None:
    with pytest.raises(UsageError, match=rf"^bits: num_bits {num_bits} given, 1\.\.7 allowed$"):
        Bits(num_bits)
