"""The kernels of integer programs, each variant against int64, for any number of threads."""

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
        (lambda: WindowPlaces((1, 0, 1), (1, 1, 1), [0]), r"^counts: 0; allowed is 1\.\."),
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
            lambda: PackedBits(np.full((2, 4), 2, np.int8), ROW[:2].copy(), 1, 4),
            r"^weight: 2; allowed is -1\.\.1",
        ),
        (
            lambda: backend.pack_bits(np.zeros(9, np.int8), np.zeros(2, np.uint64), channels=2),
            "^x: 9 numbers; a multiple of 2 channels is allowed",
        ),
        (
            lambda: PoolWindows((4, 4, 1), [(0, 5)], [(0, 1)], (1, 1), 1, 0),
            r"^rows: 5; allowed is 1\.\.4",
        ),
    ],
)  # fmt: skip
def test_wrong_arguments(call: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        call()


def test_the_roof_counts_what_it_did() -> None:
    for variant in backend.kernels("convolve"):
        assert backend.peak(3, variant=variant) == 3 * backend.peak(1, variant=variant) > 0
