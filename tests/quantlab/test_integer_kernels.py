"""The kernels of integer programs, each variant against int64, for any number of threads."""

import ctypes
import mmap
import os
import re
import sys
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from quantlab import backend
from quantlab.backend import CodesRule, PackedBits, PackedWeights, PoolWindows, WindowPlaces
from quantlab.errors import UsageError

Integers = NDArray[Any]
BEHIND = 16  # numbers that may be read behind the last
KINDS = (np.uint8, np.int8, np.int16, np.int32)


def rescaling(random: np.random.Generator, channels: int, *, has_other: bool, groups: int) -> Any:
    """Constants of all sizes, and the function that says what they do, in Python's integers."""
    multipliers = [random.integers(-(2**31), 2**31, channels) for _ in range(1 + has_other)]
    offset = random.integers(-(2**60), 2**60, channels)
    shift = random.integers(0, 63, channels)
    low, high = -100, 27
    rule = CodesRule.rescaling(
        multipliers[0].astype(np.int32),
        multipliers[1].astype(np.int32) if has_other else None,
        offset,
        shift,
        low,
        high,
        groups,
    )

    def codes(*sums: Integers) -> Integers:
        total = offset.astype(object)
        for one, multiplier in zip(sums, multipliers, strict=True):
            total = total + one.astype(object) * multiplier
        return np.clip(total >> shift.astype(object), low, high).astype(np.int64)

    return rule, codes


def counting(random: np.random.Generator, channels: int, *, groups: int) -> Any:
    base, step = (random.integers(-9, 9, channels).astype(np.int32) for _ in range(2))
    limits = random.integers(-(2**20), 2**20, (3, channels)).astype(np.int32)
    rule = CodesRule.counting(base, step, limits, groups)
    return rule, lambda sums: base + step * (sums[..., None, :] > limits).sum(-2)


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


def windows_of(x: Integers, kernel: int, stride: int) -> Integers:
    """Return `[N, rows, columns, kernel, kernel, C]`."""
    found = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), axis=(1, 2))
    return np.moveaxis(found[:, ::stride, ::stride], 3, -1)


def places_of(x: Integers, shape: tuple[int, ...], kernel: int, stride: int) -> tuple[Any, int]:
    """Return the windows of one group's tensors, joined along a row, and how many spans they
    have."""
    _, height, width, channels = x.shape
    spans = [row * width * channels for row in range(kernel)]
    steps = (height * width * channels, stride * width * channels, stride * channels)
    return WindowPlaces(shape[:3], steps, spans), len(spans)


def flat(x: Integers) -> Integers:
    return np.concatenate([x.reshape(-1), np.full(BEHIND, 77, x.dtype)])


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


ROW = np.arange(8, dtype=np.int32)
RULE = CodesRule.rescaling(ROW, None, ROW.astype(np.int64), ROW.astype(np.int64), 0, 9, 1)
PLACES = WindowPlaces((1, 1, 2), (0, 0, 8), [0])
WEIGHTS = PackedWeights(np.zeros((8, 8), np.int8), ROW, 1, 1, False)


def rescale(**changed: Any) -> CodesRule:
    wide = ROW.astype(np.int64)
    arguments = {"multiplier": ROW, "other_multiplier": None, "offset": wide, "shift": wide}
    return CodesRule.rescaling(**(arguments | {"low": 0, "high": 9, "num_groups": 1} | changed))


def convolved(**changed: Any) -> None:
    arguments = {"x": np.zeros(16, np.uint8), "windows": PLACES, "weights": WEIGHTS}
    backend.convolve(**(arguments | changed))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rescale(shift=ROW.astype(np.int64) + 60), r"^shift: 63; allowed is 0\.\.62"),
        (lambda: rescale(offset=ROW), "^offset: expected a C-contiguous aligned 1-D int64 array"),
        (lambda: rescale(offset=np.zeros(3, np.int64)), "^offset: 3 numbers; allowed is 8, one"),
        (lambda: rescale(low=10), r"^high: 9; allowed is 10\.\."),
        (lambda: rescale(num_groups=3), "^num_groups: 3 for 8 channels; a divisor is allowed"),
        (
            lambda: CodesRule.counting(ROW, ROW, np.zeros((0, 8), np.int32), 1),
            r"^limits: 0; allowed is 1\.\.255",
        ),
        (
            lambda: PackedWeights(np.zeros((8, 8), np.int8), ROW, 3, 1, False),
            "^weight: 8 outputs of 8 numbers, 8 biases; allowed are multiples of 3 groups",
        ),
        (
            lambda: CodesRule.counting(ROW, ROW, np.zeros((1, 8), np.int32), -1),
            "^num_groups: -1 for 8 channels; a divisor is allowed",
        ),
        (
            lambda: PackedWeights(np.zeros((8, 8), np.int8), ROW, -1, 1, False),
            r"^num_groups: -1; allowed is 1\.\.",
        ),
        (
            lambda: PackedWeights(np.zeros((8, 8), np.int8), ROW, 1, 0, False),
            r"^num_spans: 0; allowed is 1\.\.",
        ),
        (lambda: WindowPlaces((1, 0, 1), (1, 1, 1), [0]), r"^counts: 0; allowed is 1\.\."),
        (lambda: WindowPlaces((1, 1, 1), (1, -1, 1), [0]), r"^steps: -1; allowed is 0\.\."),
        (lambda: WindowPlaces((1, 1, 1), (1, 1, 1), [-1]), r"^spans: -1; allowed is 0\.\."),
        (lambda: convolved(x=np.zeros(15, np.uint8)), "^x: 15 numbers; at least 16 are read"),
        (lambda: convolved(x=np.zeros(16, np.int16)), "^x: expected a C-contiguous .* uint8"),
        (
            lambda: convolved(windows=WindowPlaces((1, 1, 1), (0, 0, 0), [0, 1])),
            "^spans: 2; allowed is 1, as of the weights",
        ),
        (lambda: convolved(sums=np.zeros(9, np.int32)), "^sums: expected an array of 16 numbers"),
        (
            lambda: convolved(codes=[(RULE, None, np.zeros(16, np.float32))]),
            "^out: expected a C-contiguous aligned array of uint8, int8, int16 or int32",
        ),
        (
            lambda: convolved(codes=[(RULE, ROW, np.zeros(16, np.int8))]),
            "^other: expected None, for this rule has one multiplier",
        ),
        (
            lambda: convolved(variant="avx"),
            "^variant: 'avx' does not run here; allowed are scalar",
        ),
        (
            lambda: backend.requantize(ROW, (RULE, None, ROW.copy()), num_channels=4),
            "^codes: a rule for 8 channels in 1 groups; allowed is 4 in 1",
        ),
        (
            lambda: convolved(codes=[(None, None, np.zeros(16, np.int8))]),
            "^codes: expected a CodesRule first, got NoneType",
        ),
        (
            lambda: backend.requantize(ROW, (RULE, None, ROW.copy()), num_channels=-1),
            r"^num_channels: -1; allowed is 1\.\.",
        ),
        (
            lambda: PackedBits(np.full((2, 4), 2, np.int8), ROW[:2].copy(), 1, 4),
            r"^weight: 2; allowed is -1\.\.1",
        ),
        (
            lambda: PackedBits(np.zeros((8, 4), np.int8), ROW, -1, 4),
            r"^num_spans: -1; allowed is 1\.\.",
        ),
        (
            lambda: PackedBits(np.zeros((8, 4), np.int8), ROW, 1, 1 << 32),
            r"^channels: 4294967296; allowed is 1\.\.",
        ),
        (
            lambda: backend.pack_bits(np.zeros(8, np.int8), None, channels=8),
            "^planes: expected a C-contiguous aligned 1-D uint64 array, got NoneType",
        ),
        (
            lambda: backend.pack_bits(np.zeros(8, np.int8), np.zeros(2, np.uint64), channels=-8),
            r"^channels: -8; allowed is 1\.\.",
        ),
        (
            lambda: backend.pack_bits(np.zeros(9, np.int8), np.zeros(2, np.uint64), channels=2),
            "^x: 9 numbers; a multiple of 2 channels is allowed",
        ),
        (
            lambda: PoolWindows((4, 4, 1), [(0, 5)], [(0, 1)], (1, 1), 1, 0),
            r"^rows: 5; allowed is 1\.\.4",
        ),
        (
            lambda: PoolWindows((4, 4, 1), [(0, 1)], [(0, 1)], (1, 1), 1, 1 << 31),
            r"^padding_code: 2147483648; allowed is -2147483648\.\.2147483647",
        ),
        (lambda: backend.peak(-1), r"^repeats: -1; allowed is 0\.\."),
    ],
)  # fmt: skip
def test_wrong_arguments(call: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        call()


def far_apart() -> None:
    """The last group's input would begin where 64 bits have wrapped around."""
    weights = PackedWeights(np.zeros((0, 1 << 40), np.int8), ROW[:0].copy(), 1 << 40, 1, False)
    backend.convolve(np.zeros(8, np.uint8), WindowPlaces((1, 1, 1), (0, 0, 0), [0]), weights)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        # 2 modulo 2**64
        ("counts", lambda: WindowPlaces((2, 119537721, 77158673929), (0, 0, 0), [0])),
        ("counts", lambda: WindowPlaces((1 << 40, 1 << 40, 1), (0, 0, 0), [0])),
        ("steps", lambda: WindowPlaces((1 + (1 << 30), 1, 1), (1 << 34, 0, 0), [0])),
        (
            "steps",  # the sum alone is too large
            lambda: WindowPlaces((1 << 22, 1 << 22, 2), (1 << 40, 1 << 40, 1 << 40), [1 << 40]),
        ),
        (
            "windows",
            lambda: convolved(windows=WindowPlaces((1 << 30, 1 << 30, 1), (0, 0, 0), [0])),
        ),
        ("num_groups", far_apart),
        ("num_spans", lambda: PackedBits(np.zeros((8, 4), np.int8), ROW, 1 << 40, 1 << 24)),
        ("shape", lambda: PoolWindows((1 << 32, 1 << 32, 1), [(0, 1)], [(0, 1)], (1, 1), 1, 0)),
        (
            "window",
            lambda: PoolWindows((1, 1, 1 << 24), [(0, 1)], [(0, 1)], (1, 1), 1 << 40, 0),
        ),
    ],
)  # fmt: skip
def test_sizes_that_wrap_around(name: str, call: Callable[[], object]) -> None:
    with pytest.raises(UsageError, match=f"^{name}: makes more than {2**63 - 1} numbers"):
        call()


@pytest.mark.parametrize("ends", [(-128, 127), (0, 255), (-(2**15), 2**15 - 1), (-1, 2**31 - 1)])
@pytest.mark.parametrize("kind", KINDS)
def test_codes_are_of_the_type_of_out(kind: type[Any], ends: tuple[int, int]) -> None:
    """A rule of either kind is taken where its lowest and its highest code fit, else refused."""
    low, high = ends
    base, step = np.full(8, high, np.int32), np.full(8, low, np.int64) - high
    rules = [rescale(low=low, high=high)]
    if step[0] >= -(2**31):
        limits = np.zeros((1, 8), np.int32)
        rules.append(CodesRule.counting(base, step.astype(np.int32), limits, 1))
    limits = np.iinfo(kind)
    for rule in rules:
        codes = (rule, None, np.zeros(8, kind))
        if limits.min <= low and high <= limits.max:
            backend.requantize(ROW, codes, num_channels=8)
            continue
        with pytest.raises(UsageError, match=rf"^out: expected a type .* of {low}\.\.{high}, got"):
            backend.requantize(ROW, codes, num_channels=8)


def test_counted_codes_beyond_32_bits() -> None:
    base = np.full(8, 2**31 - 1, np.int32)
    rule = CodesRule.counting(base, base, np.zeros((255, 8), np.int32), 1)
    with pytest.raises(UsageError, match=rf"^out: .* {2**31 - 1}\.\.{256 * (2**31 - 1)}, got"):
        backend.requantize(ROW, (rule, None, ROW.copy()), num_channels=8)


PLACES_OF_ARRAYS = ("x", "sums", "other", "out", "other", "out")  # two rules


@pytest.mark.parametrize("pair", [*combinations(range(6), 2)])
def test_convolve_refuses_shared_memory(pair: tuple[int, int]) -> None:
    """Of six arrays only those that are read may overlap, here by one number at either end."""
    random = np.random.default_rng(0)
    kinds = (np.uint8, np.int32, np.int8, np.int8, np.int8, np.int8)
    for order in (pair, pair[::-1]):
        arrays = [np.zeros(16, kind) for kind in kinds]
        first, second = (np.dtype(kinds[i]) for i in order)
        end = 16 * first.itemsize
        start = end - second.itemsize
        memory = np.zeros(start + 16 * second.itemsize, np.uint8)
        arrays[order[0]] = memory[:end].view(first)
        arrays[order[1]] = memory[start:].view(second)
        x, sums, *others = arrays
        rule, _ = rescaling(random, 8, has_other=True, groups=1)
        codes = [(rule, others[0], others[1]), (rule, others[2], others[3])]
        names = {PLACES_OF_ARRAYS[i] for i in pair}
        if names <= {"x", "other"}:
            convolved(x=x, sums=sums, codes=codes)
            continue
        with pytest.raises(UsageError, match=r"shares memory with \w+; allowed") as caught:
            convolved(x=x, sums=sums, codes=codes)
        message = str(caught.value)
        assert set(re.findall(r"^\w+|(?<=with )\w+", message)) == names


def test_neighbors_share_no_memory() -> None:
    memory = np.zeros(32, np.uint8)
    convolved(x=memory[:16], codes=[(RULE, None, memory[16:])])
    convolved(x=memory[16:], codes=[(RULE, None, memory[:16])])


def requantized_in_place() -> None:
    backend.requantize(ROW, (RULE, None, ROW), num_channels=8)


def requantized_into_other() -> None:
    rule, _ = rescaling(np.random.default_rng(0), 8, has_other=True, groups=1)
    other = np.zeros(8, np.int8)
    backend.requantize(ROW, (rule, other, other), num_channels=8)


def pooled_in_place() -> None:
    x = np.zeros((1, 4, 4, 1), np.uint8)
    windows = PoolWindows((4, 4, 1), [(0, 1)], [(0, 1)], (1, 1), 1, 0)
    backend.pool(x, windows, x[:, :1, :1], is_sum=False)


def packed_in_place() -> None:
    planes = np.zeros(2, np.uint64)
    backend.pack_bits(planes.view(np.int8)[8:], planes, channels=8)


def convolved_bits_in_place() -> None:
    planes = np.zeros(2, np.uint64)
    weights = PackedBits(np.zeros((4, 8), np.int8), ROW[:4].copy(), 1, 8)
    places = WindowPlaces((1, 1, 1), (0, 0, 0), [0])
    backend.convolve_bits(planes, places, weights, sums=planes.view(np.int32))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (requantized_in_place, "^out: shares memory with sums"),
        (requantized_into_other, "^out: shares memory with other"),
        (pooled_in_place, "^out: shares memory with x"),
        (packed_in_place, "^planes: shares memory with x"),
        (convolved_bits_in_place, "^sums: shares memory with planes"),
    ],
)
def test_other_kernels_refuse_shared_memory(call: Callable[[], None], message: str) -> None:
    with pytest.raises(UsageError, match=f"{message}; allowed is its own"):
        call()


needs_guard = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="no mprotect as Linux has it"
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


def test_the_roof_counts_what_it_did() -> None:
    for variant in backend.kernels("convolve"):
        assert backend.peak(3, variant=variant) == 3 * backend.peak(1, variant=variant) > 0
