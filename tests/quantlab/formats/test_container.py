"""The container: what comes out is what went in, or nothing."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from quantlab.errors import UsageError, VerificationError
from quantlab.formats.container import Stored, pack, unpack

META = {"name": "example", "sizes": [1, 2], "share": 0.5}


def tensors() -> dict[str, Stored]:
    return {
        "weights": Stored(values=np.arange(-4, 4, dtype=np.int8).reshape(2, 4), num_bits=4),
        "signs": Stored(values=np.array([1, -1, -1, 1, 1], np.int8), num_bits=1),
        "offset": Stored(values=np.array(2**61)),
        "scale": Stored(values=np.array([0.1, 1e-300])),
        "none": Stored(values=np.zeros((0, 3), np.int32)),
    }


def test_round_trip() -> None:
    data = pack("example", META, tensors())
    contents = unpack(data, "example", "x")
    assert contents.meta == META
    for name, stored in tensors().items():
        found = contents.tensors[name]
        assert np.array_equal(found, stored.values)
        assert (found.dtype, found.shape) == (stored.values.dtype, stored.values.shape)
    assert contents.sizes == {"weights": 4, "signs": 1, "offset": 8, "scale": 16, "none": 0}
    assert len(data) == sum(contents.sizes.values()) + contents.header_bytes
    assert pack("example", META, tensors()) == data


@given(num_bits=st.integers(1, 8), count=st.integers(0, 40), seed=st.integers(0, 2**32 - 1))
def test_packed_integers(num_bits: int, count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    half = 2 ** (num_bits - 1)
    values: NDArray[Any] = random.integers(-half, half, count).astype(np.int8)
    if num_bits == 1:
        values = np.where(values < 0, -1, 1).astype(np.int8)
    data = pack("example", None, {"x": Stored(values=values, num_bits=num_bits)})
    contents = unpack(data, "example", "x")
    assert np.array_equal(contents.tensors["x"], values)
    assert contents.sizes["x"] == -(-count * num_bits // 8)


def test_every_flipped_byte_is_refused() -> None:
    data = pack("example", META, tensors())
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 1 << place % 8
        with pytest.raises(VerificationError):
            unpack(bytes(damaged), "example", "x")


def test_a_damaged_tensor_is_named() -> None:
    data = bytearray(pack("example", META, tensors()))
    data[data.index(np.array(2**61).tobytes())] ^= 1
    with pytest.raises(
        VerificationError, match=r"a\.bin: tensor 'offset' is damaged: its SHA-256 is"
    ):
        unpack(bytes(data), "example", "a.bin")


@pytest.mark.parametrize("length", [0, 3, 8, 20, 300, -1])
def test_a_cut_file_is_refused(length: int) -> None:
    data = pack("example", META, tensors())
    with pytest.raises(VerificationError, match=r"not a file of QuantLab|damaged|cut off"):
        unpack(data[:length], "example", "x")


def test_other_files_are_refused() -> None:
    data = pack("example", META, tensors())
    with pytest.raises(UsageError, match="x: a example given, a program allowed"):
        unpack(data, "program", "x")
    with pytest.raises(VerificationError, match="not a file of QuantLab"):
        unpack(b"PK\x03\x04" + data, "example", "x")


def test_what_cannot_be_stored() -> None:
    with pytest.raises(UsageError, match="1 bit given for numbers other than -1 and 1"):
        pack("example", None, {"x": Stored(values=np.zeros(3, np.int8), num_bits=1)})
    with pytest.raises(UsageError, match="tensor 'x' of complex128"):
        pack("example", None, {"x": Stored(values=np.zeros(3, complex))})
    with pytest.raises(UsageError, match="does not fit"):
        pack("example", None, {"x": Stored(values=np.array([8], np.int8), num_bits=4)})
