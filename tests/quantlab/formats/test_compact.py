"""Version 2 of the container: small, and what comes out is what went in, or nothing."""

import bz2
import hashlib
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from quantlab.errors import UsageError, VerificationError
from quantlab.formats import compact, container
from quantlab.formats.compact import Compact

META = {"name": "example", "sizes": [1, 2], "share": 0.5}


def tensors() -> dict[str, Compact]:
    skewed = np.random.default_rng(0).choice([-1, 0, 1], (8, 40), p=[0.05, 0.9, 0.05])
    floats = np.linspace(1, 1.1, 40).astype(np.float16)
    return {
        "weights": Compact(values=np.arange(-4, 4, dtype=np.int8).reshape(2, 4), num_bits=4),
        "odd": Compact(values=np.arange(-255, 256, 2, dtype=np.int16), num_bits=8, is_odd=True),
        "signs": Compact(values=np.array([1, -1, -1, 1], np.int8), num_bits=1, is_odd=True),
        "coded": Compact(values=skewed.astype(np.int8), num_bits=2, is_coded=True),
        "floats": Compact(values=floats.reshape(4, 10), is_coded=True),
        "stepped": Compact(values=np.arange(-127, 128, dtype=np.float32) / 4),
        "scale": Compact(values=np.array([0.1, 1e-300])),
        "none": Compact(values=np.zeros((0, 3), np.int32), is_coded=True),
    }


def test_round_trip() -> None:
    data = compact.pack("example", META, tensors())
    contents = container.unpack(data, "example", "x")
    assert contents.meta == META
    for name, stored in tensors().items():
        found = contents.tensors[name]
        assert np.array_equal(found, stored.values)
        assert (found.dtype, found.shape) == (stored.values.dtype, stored.values.shape)
    assert {**contents.sizes, "coded": 0, "floats": 0} == {
        "weights": 4, "odd": 256, "signs": 1, "coded": 0, "floats": 0, "stepped": 259,
        "scale": 16, "none": 0
    }  # fmt: skip
    assert contents.sizes["coded"] < 8 * 40 / 4
    assert contents.sizes["floats"] < 80
    assert len(data) == sum(contents.sizes.values()) + contents.header_bytes
    assert compact.pack("example", META, tensors()) == data


@given(
    num_bits=st.integers(1, 8),
    count=st.integers(0, 40),
    seed=st.integers(0, 2**32 - 1),
    is_coded=st.booleans(),
)
def test_odd_codes_take_their_bits(num_bits: int, count: int, seed: int, *, is_coded: bool) -> None:
    half = 2 ** (num_bits - 1)
    halved = np.random.default_rng(seed).integers(-half, half, count)
    values: NDArray[Any] = (2 * halved + 1).astype(np.int16)
    given = Compact(values=values, num_bits=num_bits, is_odd=True, is_coded=is_coded)
    contents = container.unpack(compact.pack("example", None, {"x": given}), "example", "x")
    assert np.array_equal(contents.tensors["x"], values)
    assert contents.sizes["x"] <= -(-count * num_bits // 8)


def test_many_small_tensors_have_a_small_header() -> None:
    """As many as ResNet-18 has factors and biases, with names as it has them."""
    names = [
        f"layer{stage}.{block}.conv{conv}.{part}"
        for stage in range(1, 5)
        for block in range(5)
        for conv in (1, 2)
        for part in ("basis", "coeff_in", "coeff_out", "bias")
    ]
    given = {
        name: Compact(values=np.full((44, place), 1, np.int8), num_bits=3)
        for place, name in enumerate(names)
    }
    contents = container.unpack(compact.pack("example", None, given), "example", "x")
    assert len(names) == 160
    assert contents.header_bytes < 2000


def test_every_flipped_byte_is_refused() -> None:
    data = compact.pack("example", META, tensors())
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 1 << place % 8
        with pytest.raises(VerificationError):
            container.unpack(bytes(damaged), "example", "x")


def test_a_damaged_tensor_is_named() -> None:
    data = bytearray(compact.pack("example", META, tensors()))
    data[data.index(np.array(1e-300).tobytes())] ^= 1
    with pytest.raises(VerificationError, match=r"a\.bin: tensor 'scale' is damaged"):
        container.unpack(bytes(data), "example", "a.bin")


def test_every_cut_file_is_refused() -> None:
    data = compact.pack("example", META, tensors())
    for length in range(len(data)):
        with pytest.raises(VerificationError, match=r"not a file of QuantLab|damaged|cut off"):
            container.unpack(data[:length], "example", "x")


def test_other_files_are_refused() -> None:
    data = compact.pack("example", META, tensors())
    with pytest.raises(UsageError, match="x: a example given, a program allowed"):
        container.unpack(data, "program", "x")


def test_a_newer_version_is_refused() -> None:
    body = container.MAGIC + (3).to_bytes(4, "little") + b"of another form"
    with pytest.raises(UsageError, match="x: version 3 given, 1 to 2 allowed"):
        container.unpack(body + hashlib.sha256(body).digest(), "example", "x")


def crafted(header: object, blobs: bytes = b"") -> bytes:
    """A file with a good hash, whatever its header says."""
    text = bz2.compress(json.dumps(header).encode())
    body = container.MAGIC + (2).to_bytes(4, "little") + len(text).to_bytes(4, "little") + text
    check = hashlib.sha256(blobs).digest()[:4]
    data = body + check + blobs
    return data + hashlib.sha256(data).digest()


@pytest.mark.parametrize(
    "header",
    [
        3,
        [],
        ["example", None, ["x"], ["int8"], [[2]], ["s4"], [-1]],
        ["example", None, ["x"], ["int8"], [[2]], ["s4"], ["1"]],
        ["example", None, ["x"], ["int8"], [[2]], ["q4"], [1]],
        ["example", None, ["x"], ["int8"], [[2]], ["s99"], [1]],
        ["example", None, ["x"], ["object"], [[1]], ["plain"], [1]],
        ["example", None, ["x"], ["int8"], [[-2]], ["s4"], [1]],
        ["example", None, ["x"], ["int8"], [["a"]], ["s4"], [1]],
        ["example", None, ["x"], ["int8"], [[2**40]], ["c:s4"], [1]],
        ["example", None, ["x"], ["float32"], [[2**28, 2]], ["c:plain"], [1]],
        ["example", None, ["x"], ["int8"], [[5]], ["s4"], [1]],
        ["example", None, ["x"], [3], [4], [5], [1]],
        ["example", None, [3], ["int8"], [[1]], ["s8"], [1]],
        ["example", None, [None], ["int8"], [[1]], ["s8"], [1]],
    ],
)
def test_a_header_that_means_nothing_is_refused(header: object) -> None:
    with pytest.raises(VerificationError, match="x: "):
        container.unpack(crafted(header, b"\2"), "example", "x")


@pytest.mark.parametrize("packing", ["q8", "c:q8", "plain", "c:plain", "s4", "c:o4", "o1"])
def test_a_tensor_of_no_bytes_is_refused(packing: str) -> None:
    header = ["example", None, ["x"], ["float32"], [[2]], [packing], [0]]
    with pytest.raises(VerificationError, match="x: tensor 'x' cannot be read"):
        container.unpack(crafted(header), "example", "x")


def test_what_cannot_be_stored() -> None:
    with pytest.raises(UsageError, match="codes that are not odd"):
        compact.pack(
            "x", None, {"x": Compact(values=np.zeros(3, np.int8), num_bits=2, is_odd=True)}
        )
    with pytest.raises(UsageError, match="tensor 'x' of complex128"):
        compact.pack("x", None, {"x": Compact(values=np.zeros(3, complex))})
    with pytest.raises(UsageError, match="does not fit"):
        compact.pack("x", None, {"x": Compact(values=np.array([8], np.int8), num_bits=4)})
