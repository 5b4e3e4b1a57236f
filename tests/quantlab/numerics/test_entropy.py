"""Entropy-coded codes: round trips, sizes, hostile bytes, and the stream by its definition."""

from math import exp
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from quantlab import backend
from quantlab.errors import UsageError
from quantlab.numerics.entropy import decode_codes, encode_codes

Codes = NDArray[Any]


class Node:
    """How often a bit was 1."""

    def __init__(self) -> None:
        self.share, self.count = 1 << 21, 0

    def probability(self) -> int:
        return min(max(self.share >> 6, 1), 65535)

    def learn(self, bit: int) -> None:
        wanted = 2**22 - 1 if bit else 0
        self.share += truncated(wanted - self.share, self.count + 2)
        self.count = min(self.count + 1, 1023)


TABLE = [round(65536 / (1 + exp(-x / 2))) for x in range(-24, 25)]


def probability_of(logit: int) -> int:
    row, part = divmod(min(max(logit, -3071), 3071) + 3072, 128)
    p = (TABLE[row] * (128 - part) + TABLE[row + 1] * part) // 128
    return min(max(p, 1), 65535)


PROBABILITIES = np.array([probability_of(x) for x in range(-3071, 3072)])


def logit_of(probability: int) -> int:
    return min(int(np.searchsorted(PROBABILITIES, probability)) - 3071, 3071)


def truncated(a: int, b: int) -> int:
    return abs(a) // b * (1 if a > 0 else -1)


def reference_decode(
    data: bytes, num_bits: int, shape: tuple[int, int], *, is_mixed: bool
) -> Codes:
    """The decoder once more, in Python's integers: bytes are one number in an interval."""
    nodes: dict[tuple[Any, ...], Node] = {}
    weights = [[65536 // 2] + [65536 // 5] * 3 for _ in range(8)]
    slowness = [2**13] * 8
    codes = np.zeros(shape, np.uint8)
    low, high, shift = 0, 2**64 - 1, 0
    number = int.from_bytes(data + bytes(16), "big") << 64
    total = 8 * (len(data) + 24)
    for row in range(shape[0]):
        for column in range(shape[1]):
            left = int(codes[row, column - 1]) if column else 0
            above = int(codes[row - 1, column]) if row else 0
            sizes = tuple(min((code + 1) // 2, 3) for code in (left, above))
            node = 1
            for depth in range(num_bits):
                keys = [("all", node)]
                if is_mixed:
                    keys += [("row", row, node), ("column", column, node), ("near", *sizes, node)]
                models = [nodes.setdefault(key, Node()) for key in keys]
                p = models[0].probability()
                logits = [logit_of(model.probability()) for model in models]
                if is_mixed:
                    total_logit = sum(w * x for w, x in zip(weights[depth], logits, strict=True))
                    p = probability_of(truncated(total_logit, 65536))
                middle = low + ((high - low) >> 16) * p
                bit = int((number >> (total - 64 - shift)) % 2**64 <= middle)
                low, high = (low, middle) if bit else (middle + 1, high)
                while low >> 56 == high >> 56:
                    low, high = low << 8 & 2**64 - 1, (high << 8 & 2**64 - 1) | 255
                    shift += 8
                for place, model in enumerate(models):
                    if is_mixed:
                        error = (65535 if bit else 0) - p
                        weight = weights[depth][place]
                        weight += truncated(logits[place] * error, slowness[depth])
                        weights[depth][place] = min(max(weight, -(2**22)), 2**22)
                    model.learn(bit)
                slowness[depth] = min(slowness[depth] + 32, 2**16)
                node = 2 * node + bit
            codes[row, column] = node - 2**num_bits
    return codes


def drawn(seed: int, num_bits: int, shape: tuple[int, int], skew: float) -> Codes:
    """Codes of a skewed distribution: skew 0 is uniform, large ones are one symbol."""
    half = 2 ** (num_bits - 1)
    levels = np.arange(-half, half)
    shares = np.exp(-skew * np.abs(levels))
    return np.random.default_rng(seed).choice(levels, shape, p=shares / shares.sum())


any_codes = st.builds(
    drawn,
    st.integers(0, 2**32 - 1),
    st.shared(st.integers(1, 8), key="num_bits"),
    st.tuples(st.integers(0, 6), st.integers(0, 20)),
    st.sampled_from([0, 0.5, 3, 50]),
)
any_bits = st.shared(st.integers(1, 8), key="num_bits")


@given(codes=any_codes, num_bits=any_bits)
def test_round_trip(codes: Codes, num_bits: int) -> None:
    data = encode_codes(codes, num_bits)
    assert np.array_equal(decode_codes(data, codes.shape, num_bits), codes)
    assert len(data) <= 2 + -(-codes.size * num_bits // 8)
    for is_mixed in (False, True):
        symbols = (codes + 2 ** (num_bits - 1)).astype(np.uint8)
        coded = np.frombuffer(
            backend.entropy_encode(symbols, num_bits, is_mixed=is_mixed), np.uint8
        )
        rows, columns = symbols.shape
        found = backend.entropy_decode(
            coded, num_bits, num_rows=rows, num_columns=columns, is_mixed=is_mixed
        )
        assert np.array_equal(found, symbols)


@pytest.mark.parametrize("is_mixed", [False, True])
@pytest.mark.parametrize(("num_bits", "skew"), [(1, 0.5), (2, 2.0), (3, 0.3), (8, 0.05), (4, 50)])
def test_stream_is_as_defined(num_bits: int, skew: float, *, is_mixed: bool) -> None:
    symbols = (drawn(1, num_bits, (9, 30), skew) + 2 ** (num_bits - 1)).astype(np.uint8)
    data = backend.entropy_encode(symbols, num_bits, is_mixed=is_mixed)
    found = reference_decode(data, num_bits, symbols.shape, is_mixed=is_mixed)
    assert np.array_equal(found, symbols)


def entropy_bytes(codes: Codes) -> float:
    _, counts = np.unique(codes, return_counts=True)
    return float(-(counts * np.log2(counts / codes.size)).sum() / 8)


@pytest.mark.parametrize("num_bits", range(1, 9))
@pytest.mark.parametrize("skew", [0, 0.02, 0.5, 2, 50])
def test_bytes_are_those_of_the_entropy(num_bits: int, skew: float) -> None:
    """One percent, and half a byte for each level, whose share has to be told."""
    codes = drawn(2, num_bits, (64, 300), skew)
    most = 1.01 * entropy_bytes(codes) + 6 + 0.5 * len(np.unique(codes))
    assert len(encode_codes(codes, num_bits)) <= most


def test_rows_of_other_sizes_take_less_than_the_entropy_of_all() -> None:
    random = np.random.default_rng(3)
    sizes = np.exp(random.normal(size=(64, 1)))
    codes = np.clip(np.round(random.normal(size=(64, 300)) * sizes), -8, 7).astype(int)
    assert len(encode_codes(codes, 4)) < 0.9 * entropy_bytes(codes)


@given(data=st.binary(max_size=60), num_bits=st.integers(1, 8), rows=st.integers(0, 9))
def test_hostile_bytes_are_safe(data: bytes, num_bits: int, rows: int) -> None:
    try:
        found = decode_codes(data, (rows, 7), num_bits)
    except UsageError:
        return
    assert found.shape == (rows, 7)


@pytest.mark.parametrize("skew", [0.5, 3])
def test_cut_streams_are_refused(skew: float) -> None:
    codes = drawn(4, 3, (10, 30), skew)
    data = encode_codes(codes, 3)
    for length in range(len(data)):
        with pytest.raises(UsageError, match=r"bytes|codes"):
            decode_codes(data[:length], codes.shape, 3)
    for end in (b"\0", b"\1"):
        with pytest.raises(UsageError, match=r"codes: \d+ bytes of way"):
            decode_codes(data + end, codes.shape, 3)


def test_what_cannot_be_coded() -> None:
    with pytest.raises(UsageError, match=r"codes: 0 to 4 given, -4 to 3 allowed for num_bits=3"):
        encode_codes(np.array([0, 4]), 3)
    with pytest.raises(UsageError, match=r"codes\[1\]: 4 does not fit"):
        backend.entropy_encode(np.array([[0, 4]], np.uint8), 2, is_mixed=False)
    with pytest.raises(UsageError, match="num_bits"):
        backend.entropy_encode(np.zeros((1, 1), np.uint8), 9, is_mixed=False)
    with pytest.raises(UsageError, match="num_columns"):
        backend.entropy_decode(
            np.zeros(1, np.uint8), 8, num_rows=2**20, num_columns=2**20, is_mixed=False
        )
