"""Every encoding: what is read is what was stored, of the stated size, or is refused."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from quantlab.errors import UsageError
from quantlab.formats.weights.encoding import Encoded, Encoding
from quantlab.formats.weights.table import ENCODINGS
from tests.quantlab.formats.weights.cases import EDGES, fitted, matrices
from tests.quantlab.formats.weights.readers import read, size_of

EVERY = pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS)


def check(encoding: Encoding, codes: NDArray[np.int8]) -> None:
    encoded = encoding.encode(codes)
    assert encoded.encoding == encoding.name
    assert {name: array.dtype for name, array in encoded.arrays.items()} == encoding.dtypes
    assert np.array_equal(read(encoding, encoded, codes.shape), codes)
    decoded = encoding.decode(encoded, codes.shape)
    assert decoded.dtype == np.int8
    assert np.array_equal(decoded, codes)
    assert encoding.nbytes(codes) == encoded.nbytes == size_of(encoded.arrays)


@EVERY
@settings(max_examples=10, deadline=None)
@given(codes=matrices())
def test_round_trip(encoding: Encoding, codes: NDArray[np.int8]) -> None:
    check(encoding, fitted(encoding, codes))


@EVERY
def test_edges(encoding: Encoding) -> None:
    for codes in EDGES.values():
        reason = encoding.obstacle(codes)
        check(encoding, codes if reason is None else fitted(encoding, codes))
        for refusing in (encoding.encode, encoding.nbytes) if reason is not None else ():
            with pytest.raises(UsageError) as error:
                refusing(codes)
            assert str(error.value) == f"{encoding.name}: {reason}"


@EVERY
@settings(max_examples=10, deadline=None)
@given(codes=matrices(), data=st.data())
def test_changed_bytes_are_refused_or_read_as_the_loop_reads_them(
    encoding: Encoding, codes: NDArray[np.int8], data: st.DataObject
) -> None:
    codes = fitted(encoding, codes[:3, :60])
    arrays = {name: array.copy() for name, array in encoding.encode(codes).arrays.items()}
    name = data.draw(st.sampled_from([name for name in arrays if arrays[name].size]))
    in_bytes = arrays[name].view(np.uint8)
    place = data.draw(st.integers(0, in_bytes.size - 1))
    in_bytes[place] ^= 1 << data.draw(st.integers(0, 7))
    changed = Encoded(encoding=encoding.name, arrays=arrays)
    decoded, reason = decoded_or_reason(encoding, changed, codes.shape)
    if decoded is None:
        assert reason.startswith(f"{encoding.name}: ")
        assert "\n" not in reason
    else:
        assert not np.array_equal(decoded, codes)
        assert np.array_equal(read(encoding, changed, codes.shape), decoded)


def decoded_or_reason(
    encoding: Encoding, encoded: Encoded, shape: tuple[int, int]
) -> tuple[NDArray[np.int8] | None, str]:
    """Return the codes, or none and why they are refused."""
    try:
        return encoding.decode(encoded, shape), ""
    except UsageError as error:
        return None, str(error)


@EVERY
def test_the_memory_of_codes_is_not_shared(encoding: Encoding) -> None:
    codes = fitted(encoding, np.ones((2, 8), np.int8))
    encoded = encoding.encode(codes)
    decoded = encoding.decode(encoded, codes.shape)
    expected = codes.copy()
    for array in encoded.arrays.values():
        array[...] = 0
    assert np.array_equal(codes, expected)
    codes[...] = 5
    assert np.array_equal(decoded, expected)


NO_CODES: list[tuple[Any, str]] = [
    (np.ones((2, 2), np.int16), "codes: int16[2, 2] given, int8 [O, K] with at least one row and "),
    (np.ones(4, np.int8), "codes: int8[4] given, "),
    (np.ones((0, 4), np.int8), "codes: int8[0, 4] given, "),
    (np.ones((4, 0), np.int8), "codes: int8[4, 0] given, "),
    ([[1, 2]], "codes: a list given, an int8 array [O, K] allowed"),
]


@EVERY
def test_no_codes(encoding: Encoding) -> None:
    for codes, message in NO_CODES:
        for refusing in (encoding.obstacle, encoding.encode, encoding.nbytes):
            with pytest.raises(UsageError) as error:
                refusing(codes)
            assert str(error.value).startswith(message)


@EVERY
def test_no_arrays_of_the_encoding(encoding: Encoding) -> None:
    codes = fitted(encoding, np.ones((2, 8), np.int8))
    arrays = encoding.encode(codes).arrays

    def refusal(arrays: Any, shape: Any = (2, 8), name: str = encoding.name) -> str:
        with pytest.raises(UsageError) as error:
            encoding.decode(Encoded(encoding=name, arrays=arrays), shape)
        return str(error.value)

    assert refusal(arrays, name="other") == f"{encoding.name}: weights stored as 'other' given"
    assert refusal({}) == f"{encoding.name}: arrays none given; {', '.join(arrays)} allowed"
    assert refusal(arrays, shape=(2, 0)).startswith("shape: [2, 0] given, ")
    assert refusal(arrays, shape=(8,)).startswith("shape: [8] given, ")
    for name, array in arrays.items():
        found, size = refusal({**arrays, name: array.astype(np.int64)}), len(array)
        assert found == (
            f"{encoding.name}: int64[{size}] given for array '{name}', "
            f"{array.dtype}[{size}] allowed"
        )
        found = refusal({**arrays, name: np.append(array, array[:1])})
        assert f"[{size + 1}] given for array " in found
