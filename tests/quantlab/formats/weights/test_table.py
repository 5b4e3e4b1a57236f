"""The table of encodings, and the smallest of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray

from quantlab.errors import UsageError
from quantlab.formats.weights.bits import Bits
from quantlab.formats.weights.blocks import Blocks
from quantlab.formats.weights.pattern import Pattern
from quantlab.formats.weights.table import ENCODINGS, encoding_named, smallest
from tests.quantlab.formats.weights.cases import EDGES, behind_gap, fitted, matrices


def sizes(codes: NDArray[np.int8]) -> dict[str, int]:
    """The size of every encoding that can store codes, by encoding them."""
    able = [encoding for encoding in ENCODINGS.values() if encoding.obstacle(codes) is None]
    return {encoding.name: encoding.encode(codes).nbytes for encoding in able}


@settings(max_examples=20, deadline=None)
@given(codes=matrices())
def test_smallest_is_the_minimum(codes: NDArray[np.int8]) -> None:
    for encoding in (ENCODINGS["dense"], Bits(2), Pattern(1, 4)):
        made = fitted(encoding, codes)
        found = sizes(made)
        name = smallest(made)
        assert found[name] == min(found.values())
        assert name == next(other for other in found if found[other] == found[name])


def sparse(density: float) -> NDArray[np.int8]:
    """Codes of 100, of a density, the others zeros."""
    random = np.random.default_rng(3)
    codes = np.where(random.random((16, 512)) < density, 100, 0)
    return codes.astype(np.int8)


@pytest.mark.parametrize(
    ("codes", "name"),
    [
        (np.full((4, 16), 100, np.int8), "dense"),
        (np.full((4, 16), -1, np.int8), "bits1"),
        (np.tile(np.array([[1, 0, -1, 1]], np.int8), (4, 8)), "bits2"),
        (sparse(0.4), "bitmap"),
        (sparse(0.05), "delta"),
        (np.repeat(sparse(0.05), 4, axis=1), "block4"),
        (sparse(0.2) // 14, "nibbles"),
        (np.tile(np.array([[100, 0, 0, 90, 0, 0, 0, 0]], np.int8), (4, 8)), "2:8"),
        (np.tile(np.array([[100, 0]], np.int8), (4, 8)), "1:2"),
    ],
)
def test_each_is_the_smallest_of_something(codes: NDArray[np.int8], name: str) -> None:
    """Rice codes leave little to the others; they are for those who can read no bits."""
    assert smallest(codes, [one for one in ENCODINGS if one != "rice"]) == name


@pytest.mark.parametrize("density", [0.03, 0.1, 0.2, 0.3])
@pytest.mark.parametrize("num_bits", [4, 8])
def test_rice_codes_are_the_smallest_of_zeros_at_random(density: float, num_bits: int) -> None:
    random = np.random.default_rng(5)
    values = random.normal(size=(64, 576))
    kept = np.abs(values) > np.quantile(np.abs(values), 1 - density)
    highest = 2 ** (num_bits - 1) - 1
    codes = (values * kept / np.abs(values).max() * highest).round().astype(np.int8)
    assert smallest(codes) == "rice"
    others = [ENCODINGS[one].nbytes(codes) for one in ("csr8", "delta4", "bitmap")]
    assert ENCODINGS["rice"].nbytes(codes) < 0.95 * min(others)


def test_of_equals_the_first_is_taken() -> None:
    codes = np.full((2, 8), 100, np.int8)
    assert smallest(codes, ("1:2", "bitmap", "dense")) == "dense"
    zeros = np.zeros((2, 16), np.int8)
    assert ENCODINGS["csr"].nbytes(zeros) == ENCODINGS["delta"].nbytes(zeros)
    assert smallest(zeros, ("csr", "delta")) == "csr"
    assert smallest(zeros, ("delta", "csr")) == "delta"


def test_none_that_is_allowed_can_store_them() -> None:
    codes = np.full((1, 4), 9, np.int8)
    with pytest.raises(UsageError) as error:
        smallest(codes, ("bits4", "1:4"))
    assert str(error.value) == (
        "codes: no encoding is allowed that stores them (bits4: codes[0, 0] is 9, -8..7 allowed; "
        "1:4: 4 nonzero codes in row 0, columns 0..3, at most 1 allowed)"
    )


def test_other_names() -> None:
    assert encoding_named("block4") == Blocks(4)
    for refusing in (encoding_named, lambda name: smallest(behind_gap(1), (name,))):
        with pytest.raises(UsageError, match=r"^encoding: 'bitmaps' given; .*mean 'bitmap'\?$"):
            refusing("bitmaps")


def test_names_are_those_of_the_encodings() -> None:
    assert list(ENCODINGS) == [encoding.name for encoding in ENCODINGS.values()]
    assert len(set(ENCODINGS.values())) == len(ENCODINGS)
    assert set(sizes(EDGES["one"])) == set(ENCODINGS)
