"""The kernels read and write nothing behind their arrays: an unreadable page begins there."""

import ctypes
import mmap
import os
import re
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from quantlab import backend
from quantlab.backend import CodesRule, PackedBits, PackedWeights, PoolWindows, WindowPlaces
from quantlab.errors import UsageError
from tests.quantlab.kernels.cases import (
    BEHIND,
    KINDS,
    Integers,
    places_of,
    rescaling,
    windows_of,
)

needs_guard = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="needs mprotect of Linux, to guard a page"
)


def guarded(given: Integers) -> Integers:
    """Return a copy whose end is that of a page, behind which nothing can be read or written."""
    size = -(-given.nbytes // mmap.PAGESIZE) * mmap.PAGESIZE
    whole = np.frombuffer(mmap.mmap(-1, size + mmap.PAGESIZE), np.uint8)
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    assert protect(whole.ctypes.data + size, mmap.PAGESIZE, 0) == 0, os.strerror(ctypes.get_errno())
    copy = whole[size - given.nbytes : size].view(given.dtype).reshape(given.shape)
    copy[...] = given
    return copy


def length_demanded(call: Callable[[Integers], None], dtype: Any) -> int:
    with pytest.raises(UsageError, match="at least") as caught:
        call(np.zeros(0, dtype))
    found = re.search(r"at least (\d+)", str(caught.value))
    assert found is not None
    return int(found[1])


@needs_guard
@pytest.mark.parametrize("outputs", [1, 2, 17, 40, 64])
@pytest.mark.parametrize("channels", [1, 2, 3, 5, 16, 19])
@pytest.mark.parametrize("is_words", [False, True])
@pytest.mark.parametrize("variant", backend.kernels("convolve"))
def test_convolve_touches_nothing_behind(
    variant: str, is_words: bool, channels: int, outputs: int
) -> None:
    random = np.random.default_rng(channels * 100 + outputs)
    dtype = np.dtype(np.int16 if is_words else np.uint8)
    x = random.integers(0, 256, (1, 3, 5, channels), dtype)
    weight = random.integers(-128, 128, (outputs, 2, 2, channels), np.int8)
    bias = random.integers(-99, 99, outputs, np.int32)
    windows = windows_of(x.astype(np.int64), 2, 1)
    expected = np.tensordot(windows, weight.astype(np.int64), ([3, 4, 5], [1, 2, 3])) + bias
    places, num_spans = places_of(x, expected.shape, 2, 1)
    packed = PackedWeights(weight.reshape(outputs, -1), bias, 1, num_spans, is_words)
    check_at_the_end(variant, x, places, packed, expected)


@needs_guard
@pytest.mark.parametrize(("groups", "inputs"), [(2, 1), (17, 1), (32, 1), (3, 3)])
@pytest.mark.parametrize("is_words", [False, True])
@pytest.mark.parametrize("variant", backend.kernels("convolve"))
def test_groups_touch_nothing_behind(
    variant: str, is_words: bool, groups: int, inputs: int
) -> None:
    random = np.random.default_rng(groups)
    dtype = np.dtype(np.int16 if is_words else np.uint8)
    x = random.integers(0, 256, (1, 1, 11, groups * inputs), dtype)
    weight = random.integers(-128, 128, (groups, inputs), np.int8)
    products = x.reshape(11, groups, inputs).astype(np.int64) * weight
    channels = groups * inputs
    places = WindowPlaces((1, 1, 11), (0, 0, channels), [0])
    packed = PackedWeights(weight, np.zeros(groups, np.int32), groups, 1, is_words)
    rule_groups = 1 if packed.is_depthwise else groups
    check_at_the_end(variant, x, places, packed, products.sum(-1), groups=rule_groups)


def check_at_the_end(
    variant: str,
    x: Integers,
    places: WindowPlaces,
    packed: PackedWeights,
    expected: Integers,
    *,
    groups: int = 1,
) -> None:
    """All arrays end where an unreadable page begins, `x` with as many numbers as are demanded."""
    random = np.random.default_rng(0)
    rule, codes = rescaling(random, expected.shape[-1], has_other=True, groups=groups)
    other = guarded(np.ones(expected.shape, np.int8))
    out, sums = guarded(np.zeros_like(other)), guarded(np.zeros(expected.shape, np.int32))

    def convolve(given: Integers) -> None:
        made = [(rule, other, out)]
        backend.convolve(given, places, packed, sums=sums, codes=made, variant=variant)

    demanded = length_demanded(convolve, x.dtype)
    assert 0 <= demanded - x.size < BEHIND
    convolve(guarded(np.concatenate([x.reshape(-1), np.full(demanded - x.size, 77, x.dtype)])))
    np.testing.assert_array_equal(sums, expected)
    np.testing.assert_array_equal(out, codes(expected, other))


@needs_guard
@pytest.mark.parametrize("channels", [1, 8, 63, 64, 65, 150])
@pytest.mark.parametrize("variant", backend.kernels("convolve_bits"))
def test_bits_touch_nothing_behind(variant: str, channels: int) -> None:
    random = np.random.default_rng(channels)
    x = guarded(random.integers(-1, 2, (7, channels), np.int8))
    weight = random.integers(-1, 2, (5, channels), np.int8)
    words = -(-channels // 64)
    planes = guarded(np.zeros(2 * 7 * words, np.uint64))
    backend.pack_bits(x.reshape(-1), planes, channels=channels, variant=variant)
    places = WindowPlaces((1, 1, 7), (0, 0, words), [0])
    packed = PackedBits(weight, np.zeros(5, np.int32), 1, channels)
    sums = guarded(np.zeros((7, 5), np.int32))

    def convolve(given: Integers) -> None:
        backend.convolve_bits(given, places, packed, sums=sums, variant=variant)

    assert 2 * length_demanded(convolve, np.uint64) == planes.size
    convolve(planes)
    np.testing.assert_array_equal(sums, x.astype(np.int64) @ weight.T.astype(np.int64))


@needs_guard
@pytest.mark.parametrize("channels", [1, 15, 16, 17, 33, 65])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("variant", backend.kernels("requantize"))
def test_requantize_touches_nothing_behind(variant: str, kind: Any, channels: int) -> None:
    random = np.random.default_rng(channels)
    sums, other = (guarded(random.integers(0, 100, (3, channels), kind)) for _ in range(2))
    out = guarded(np.zeros((3, channels), kind))
    wide = np.zeros(channels, np.int64)
    ones = np.ones(channels, np.int32)
    rule = CodesRule.rescaling(ones, ones, wide, wide, 0, 100, 1)
    backend.requantize(sums, (rule, other, out), num_channels=channels, variant=variant)
    expected = (sums.astype(np.int64) + other).clip(max=100)
    np.testing.assert_array_equal(out, expected)


@needs_guard
@pytest.mark.parametrize("channels", [1, 63, 64, 65])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("variant", backend.kernels("pool"))
def test_pool_touches_nothing_behind(variant: str, kind: Any, channels: int) -> None:
    x = guarded(np.random.default_rng(channels).integers(0, 100, (2, 3, 3, channels), kind))
    windows = PoolWindows((3, 3, channels), [(0, 3)], [(0, 3)], (1, 1), 9, 0)
    for is_sum in (False, True)[: 1 + (kind != np.int32)]:
        out = guarded(np.zeros((2, 1, 1, channels), np.int32 if is_sum else kind))
        backend.pool(x, windows, out, is_sum=is_sum, variant=variant)
        expected = x.sum((1, 2), dtype=np.int64) if is_sum else x.max((1, 2))
        np.testing.assert_array_equal(out[:, 0, 0], expected)
