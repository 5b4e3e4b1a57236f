"""Each variant against int64, for any number of threads."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantlab import backend
from quantlab.backend import PackedBits, PackedWeights, PoolWindows, WindowPlaces
from tests.quantlab.kernels.cases import KINDS, counting, flat, places_of, rescaling, windows_of


@given(seed=st.integers(0, 2**32 - 1))
@pytest.mark.parametrize("variant", backend.kernels("requantize"))
def test_requantize(variant: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    rows, channels = int(random.integers(0, 90)), int(random.integers(1, 40))
    kinds = [random.choice(len(KINDS)) for _ in range(2)]
    sums, other = (
        random.integers(np.iinfo(KINDS[k]).min, np.iinfo(KINDS[k]).max, (rows, channels), KINDS[k])
        for k in kinds
    )
    sums = sums // 4  # so that no total leaves 64 bits
    other = other // 4
    out = np.empty((rows, channels), random.choice([np.int8, np.int16, np.int32]))
    has_other = bool(random.integers(2))
    rule, codes = rescaling(random, channels, has_other=has_other, groups=1)
    given_other = other if has_other else None
    backend.requantize(sums, (rule, given_other, out), num_channels=channels, variant=variant)
    np.testing.assert_array_equal(out, codes(*[sums, other][: 1 + has_other]))
    rule, codes = counting(random, channels, groups=1)
    backend.requantize(sums, (rule, None, out), num_channels=channels, variant=variant)
    np.testing.assert_array_equal(out, codes(sums.astype(np.int64)))


@given(seed=st.integers(0, 2**32 - 1))
@pytest.mark.parametrize("is_words", [False, True])
@pytest.mark.parametrize("variant", backend.kernels("convolve"))
def test_convolve(variant: str, is_words: bool, seed: int) -> None:
    random = np.random.default_rng(seed)
    kernel, stride = int(random.integers(1, 4)), int(random.integers(1, 3))
    channels, outputs = int(random.integers(1, 21)), int(random.integers(1, 100))
    size = (int(random.integers(1, 3)), *random.integers(kernel, 9, 2))
    dtype = np.dtype(np.int16 if is_words else np.uint8)
    limits = np.iinfo(dtype)
    x = random.integers(limits.min, limits.max, (*size, channels), dtype, endpoint=True)
    weight = random.integers(-128, 128, (outputs, kernel, kernel, channels), np.int8)
    bias = random.integers(-(2**20), 2**20, outputs, np.int32)
    windows = windows_of(x.astype(np.int64), kernel, stride)
    expected = np.tensordot(windows, weight.astype(np.int64), ([3, 4, 5], [1, 2, 3])) + bias
    places, num_spans = places_of(x, expected.shape, kernel, stride)
    packed = PackedWeights(weight.reshape(outputs, -1), bias, 1, num_spans, is_words)
    rule, codes = rescaling(random, outputs, has_other=False, groups=1)
    for num_threads in (1, 3):
        sums = np.empty(expected.shape, np.int32)
        out = np.empty(expected.shape, np.int8)
        backend.convolve(
            flat(x), places, packed, sums=sums, codes=[(rule, None, out)], variant=variant,
            num_threads=num_threads,
        )  # fmt: skip
        np.testing.assert_array_equal(sums, expected)
        np.testing.assert_array_equal(out, codes(expected))


@given(seed=st.integers(0, 2**32 - 1))
@pytest.mark.parametrize("is_words", [False, True])
@pytest.mark.parametrize("variant", backend.kernels("convolve"))
def test_convolve_in_groups(variant: str, is_words: bool, seed: int) -> None:
    """Spans of one pixel each; with one channel and output a group, the depthwise kernel."""
    random = np.random.default_rng(seed)
    groups = int(random.integers(2, 40))
    inputs, outputs = random.choice([(1, 1), (1, 1), (1, 2), (3, 17), (5, 1)])
    dtype = np.dtype(np.int16 if is_words else np.uint8)
    x = random.integers(0, np.iinfo(dtype).max, (2, 4, 5, groups * inputs), dtype)
    weight = random.integers(-128, 128, (groups * outputs, 2, 2, inputs), np.int8)
    bias = random.integers(-99, 99, groups * outputs, np.int32)
    windows = windows_of(x.astype(np.int64), 2, 1).reshape(2, 3, 4, 2, 2, groups, inputs)
    by_group = weight.astype(np.int64).reshape(groups, outputs, 2, 2, inputs)
    expected = np.einsum("nrcijgk,goijk->nrcgo", windows, by_group).reshape(2, 3, 4, -1) + bias
    channels = groups * inputs
    spans = [(row * 5 + column) * channels for row in range(2) for column in range(2)]
    places = WindowPlaces((2, 3, 4), (20 * channels, 5 * channels, channels), spans)
    packed = PackedWeights(weight.reshape(len(weight), -1), bias, groups, 4, is_words)
    assert packed.is_depthwise == (inputs == outputs == 1)
    rule_groups = 1 if packed.is_depthwise else groups
    rule, codes = rescaling(random, len(weight), has_other=True, groups=rule_groups)
    counted, counts = counting(random, len(weight), groups=rule_groups)
    other = random.integers(-9, 9, expected.shape, np.int16)
    sums = np.empty(expected.shape, np.int32)
    out, few = np.empty(expected.shape, np.int8), np.empty(expected.shape, np.int16)
    made = [(rule, other, out), (counted, None, few)]
    backend.convolve(flat(x), places, packed, sums=sums, codes=made, variant=variant)
    np.testing.assert_array_equal(sums, expected)
    np.testing.assert_array_equal(out, codes(expected, other))
    np.testing.assert_array_equal(few, counts(expected))


@given(seed=st.integers(0, 2**32 - 1))
@pytest.mark.parametrize("variant", backend.kernels("convolve_bits"))
def test_convolve_bits(variant: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    channels, outputs = int(random.integers(1, 150)), int(random.integers(1, 40))
    x = random.integers(-1, 2, (2, 4, 5, channels), np.int8)
    weight = random.integers(-1, 2, (outputs, 2, 2, channels), np.int8)
    bias = random.integers(-99, 99, outputs, np.int32)
    windows = windows_of(x.astype(np.int64), 2, 1)
    expected = np.tensordot(windows, weight.astype(np.int64), ([3, 4, 5], [1, 2, 3])) + bias
    words = -(-channels // 64)
    places = WindowPlaces((2, 3, 4), (20 * words, 5 * words, words), [0, 5 * words])
    packed = PackedBits(weight.reshape(outputs, -1), bias, 2, channels)
    planes = np.empty((2, 2 * 20 * words), np.uint64)
    backend.pack_bits(x.reshape(-1), planes.reshape(-1), channels=channels, variant=variant)
    bits = np.unpackbits(planes.view(np.uint8), axis=1, bitorder="little").reshape(2, 40, -1)
    np.testing.assert_array_equal(bits[0, :, :channels], x.reshape(40, -1) < 0)
    np.testing.assert_array_equal(bits[1, :, :channels], x.reshape(40, -1) != 0)
    assert not bits[:, :, channels:].any()
    for num_threads in (1, 2):
        sums = np.empty(expected.shape, np.int32)
        backend.convolve_bits(
            planes.reshape(-1), places, packed, sums=sums, variant=variant, num_threads=num_threads
        )
        np.testing.assert_array_equal(sums, expected)


@given(seed=st.integers(0, 2**32 - 1))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("variant", backend.kernels("pool"))
def test_pool(variant: str, kind: Any, seed: int) -> None:
    random = np.random.default_rng(seed)
    channels, limits = int(random.integers(1, 150)), np.iinfo(kind)
    x = random.integers(limits.min, limits.max, (2, 6, 7, channels), kind, endpoint=True)
    rows, columns = [(0, 3), (2, 6), (5, 6)], [(0, 1), (1, 7)]
    windows = PoolWindows((6, 7, channels), rows, columns, (1, 2), 9, 3)
    out = np.empty((2, 3, 2, channels), kind)
    backend.pool(x, windows, out, is_sum=False, variant=variant, num_threads=2)
    parts = [[x[:, a:b, c:d:2] for c, d in columns] for a, b in rows]
    largest = np.array([[part.max((1, 2)) for part in row] for row in parts])
    np.testing.assert_array_equal(out, np.moveaxis(largest, 2, 0))
    if kind == np.int32:
        return
    sums = np.empty((2, 3, 2, channels), np.int32)
    backend.pool(x, windows, sums, is_sum=True, variant=variant)
    added = np.array(
        [
            [
                part.sum((1, 2), dtype=np.int64) + 3 * (9 - part.shape[1] * part.shape[2])
                for part in row
            ]
            for row in parts
        ]
    )
    np.testing.assert_array_equal(sums, np.moveaxis(added, 2, 0))


def test_the_roof_counts_what_it_did() -> None:
    for variant in backend.kernels("convolve"):
        assert backend.peak(3, variant=variant) == 3 * backend.peak(1, variant=variant) > 0
