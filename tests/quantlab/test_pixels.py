"""Images of more than 8 bits are refused, by the names that Pillow has for their pixels."""

from pathlib import Path

import pytest

from quantlab.errors import DataError
from quantlab.pixels import check_8_bits


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV"])
def test_8_bits_pass(mode: str) -> None:
    check_8_bits(mode, Path("a.png"))


@pytest.mark.parametrize(("mode", "bits"), [("I;16", 16), ("I;16B", 16), ("I", 32), ("F", 32)])
def test_more_bits_are_refused_with_the_file(mode: str, bits: int) -> None:
    with pytest.raises(DataError, match=rf"^a\.png: pixels of {bits} bits; 8 bits allowed"):
        check_8_bits(mode, Path("a.png"))
