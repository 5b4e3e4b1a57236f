"""What the kernels of integer programs refuse: wrong sizes, types and shared memory."""

import re
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from quantlab import backend
from quantlab.backend import CodesRule, PackedBits, PackedWeights, PoolWindows, WindowPlaces
from quantlab.errors import UsageError
from tests.quantlab.kernels.cases import KINDS, rescaling

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
