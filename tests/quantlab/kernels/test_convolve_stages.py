"""Three convolutions at once against one after the other in int64, on each variant."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from quantlab import backend
from quantlab.backend import CodesRule, PackedStages
from quantlab.errors import UsageError
from tests.quantlab.kernels.cases import Integers, flat, rescaling
from tests.quantlab.kernels.test_memory import guarded, length_demanded, needs_guard

VARIANTS = backend.kernels("convolve_stages")
KINDS = ("three", "no exit", "no kernels")


def shifted(sums: Integers, shift: int) -> Integers:
    return np.clip(sums >> shift, -(2**15), 2**15 - 1)


def layer(random: np.random.Generator, outputs: int, *inputs: int) -> tuple[Integers, Integers]:
    weight = random.integers(-128, 128, (outputs, *inputs), np.int8)
    return weight, random.integers(-(2**20), 2**20, outputs, np.int32)


class Case:
    """Stages with random sizes, their input and the sums that they should make."""

    def __init__(self, seed: int, kind: str, *, is_words: bool) -> None:
        random = self.random = np.random.default_rng(seed)
        bases, terms = int(random.integers(1, 40)), int(random.integers(1, 5))
        kernel = tuple(random.integers(1, 4, 2).tolist())
        if seed % 3 == 0:  # as most layers have it
            terms, kernel = 2, (3, 3)
        stride, dilation = (tuple(random.integers(1, 3, 2).tolist()) for _ in range(2))
        if seed % 2 == 0:
            stride = dilation = (1, 1)
        padding = tuple(random.integers(0, 3, 4).tolist())
        if kind == "no kernels":
            terms, kernel, dilation, padding = 1, (1, 1), (1, 1), (0, 0, 0, 0)
        reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
        least = [max(1, reach[i] - padding[i] - padding[i + 2]) for i in range(2)]
        size = [low + int(random.integers(0, 18)) for low in least]
        self.channels = int(random.integers(1, 21))
        limits = np.iinfo(np.int16 if is_words else np.uint8)
        shape = (int(random.integers(1, 4)), *size, self.channels)
        self.x = random.integers(limits.min, limits.max, shape, limits.dtype, endpoint=True)
        shifts = random.integers(0, 20, 2).tolist()
        entry = layer(random, bases * terms, self.channels)
        kernels = None if kind == "no kernels" else layer(random, bases, *kernel, terms)
        exit_ = None if kind == "no exit" else layer(random, int(random.integers(1, 90)), bases)
        self.stages = PackedStages(
            (*size, self.channels), is_words, entry, shifts[0],
            None if kernels is None else (kernels[0].reshape(bases, -1), kernels[1]),
            shifts[1], exit_, kernel, stride, dilation, padding,
        )  # fmt: skip
        made = shifted(self.x.astype(np.int64) @ entry[0].T.astype(np.int64) + entry[1], shifts[0])
        if kernels is None:
            made = made[:, :: stride[0], :: stride[1]]
        else:
            ends = ((0, 0), (padding[0], padding[2]), (padding[1], padding[3]), (0, 0))
            padded = np.pad(made, ends)
            padded = padded.reshape(*padded.shape[:3], bases, terms)
            windows = np.lib.stride_tricks.sliding_window_view(padded, reach, (1, 2))
            windows = windows[:, :: stride[0], :: stride[1], ..., :: dilation[0], :: dilation[1]]
            made = np.einsum("nhwrlij,rijl->nhwr", windows, kernels[0].astype(np.int64))
            made = made + kernels[1]
            if exit_ is not None:
                made = shifted(made, shifts[1])
        if exit_ is not None:
            made = made @ exit_[0].T.astype(np.int64) + exit_[1]
        self.sums = made


@settings(max_examples=6)
@given(seed=st.integers(0, 2**32 - 1))
@example(seed=0)
@example(seed=6)
@pytest.mark.parametrize("is_words", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_stages(variant: str, kind: str, is_words: bool, seed: int) -> None:
    case = Case(seed, kind, is_words=is_words)
    rule, codes = rescaling(case.random, case.sums.shape[-1], has_other=False, groups=1)
    for num_threads in (1, 4):
        sums = np.empty(case.sums.shape, np.int32)
        out = np.empty(case.sums.shape, np.int8)
        backend.convolve_stages(
            flat(case.x), case.stages, len(case.x), sums=sums, codes=[(rule, None, out)],
            variant=variant, num_threads=num_threads,
        )  # fmt: skip
        np.testing.assert_array_equal(sums, case.sums)
        np.testing.assert_array_equal(out, codes(case.sums))


@pytest.mark.parametrize("variant", VARIANTS)
def test_large_images_are_done_some_rows_at_a_time(variant: str) -> None:
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (1, 70, 90, 4), np.uint8)
    entry, kernels = layer(random, 96, 4), layer(random, 48, 18)
    exit_ = layer(random, 5, 48)
    whole = np.empty((1, 70, 90, 5), np.int32)
    stages = PackedStages(
        (70, 90, 4), False, entry, 3, kernels, 9, exit_, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1)
    )
    backend.convolve_stages(x.reshape(-1), stages, 1, sums=whole, variant=variant, num_threads=1)
    part = np.empty((1, 10, 90, 5), np.int32)
    inner = PackedStages(
        (12, 90, 4), False, entry, 3, kernels, 9, exit_, (3, 3), (1, 1), (1, 1), (0, 1, 0, 1)
    )
    for row in (0, 21, 58):
        rows = x[:, row : row + 12].reshape(-1)
        backend.convolve_stages(rows, inner, 1, sums=part, variant=variant, num_threads=1)
        np.testing.assert_array_equal(part, whole[:, row + 1 : row + 11])


@needs_guard
@pytest.mark.parametrize("is_words", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_nothing_behind_is_touched(variant: str, kind: str, is_words: bool) -> None:
    for seed in range(6):
        case = Case(seed, kind, is_words=is_words)
        sums = guarded(np.zeros(case.sums.shape, np.int32))

        def convolve(given: Integers, case: Case = case, sums: Integers = sums) -> None:
            backend.convolve_stages(given, case.stages, len(case.x), sums=sums, variant=variant)

        needed = length_demanded(convolve, case.x.dtype)
        x = np.concatenate([case.x.reshape(-1), np.full(needed - case.x.size, 77, case.x.dtype)])
        convolve(guarded(x))
        np.testing.assert_array_equal(sums, case.sums)


@pytest.mark.parametrize("variant", backend.kernels("requantize"))
def test_sums_that_are_only_clamped(variant: str) -> None:
    random = np.random.default_rng(0)
    sums = random.integers(-(2**31), 2**31, (40, 19), np.int32)
    shift = random.integers(0, 31, 19)
    offset = random.integers(0, 2**shift)
    multiplier = (2**shift).astype(np.int32)
    rule = CodesRule.rescaling(multiplier, None, offset, shift, 0, 2**31 - 1, 1)
    out = np.empty(sums.shape, np.int32)
    backend.requantize(sums, (rule, None, out), num_channels=19, variant=variant)
    np.testing.assert_array_equal(out, sums.clip(0))
    offset = 2**shift  # one step more
    rule = CodesRule.rescaling(multiplier, None, offset, shift, 0, 2**31 - 1, 1)
    backend.requantize(sums, (rule, None, out), num_channels=19, variant=variant)
    np.testing.assert_array_equal(out, (sums.astype(np.int64) + 1).clip(0, 2**31 - 1))


def zeros(*shape: int) -> tuple[Integers, Integers]:
    return np.zeros(shape, np.int8), np.zeros(shape[0], np.int32)


def stages(**changed: Any) -> PackedStages:
    arguments: dict[str, Any] = {
        "shape": (2, 2, 4), "is_words": False, "entry": zeros(4, 4), "entry_shift": 0,
        "kernels": zeros(2, 2), "kernel_shift": 0, "exit": zeros(4, 2),
        "kernel": (1, 1), "stride": (1, 1), "dilation": (1, 1), "padding": (0, 0, 0, 0),
    }  # fmt: skip
    return PackedStages(**(arguments | changed))


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: stages(shape=(2, 2, 3)), r"^entry: 4 outputs of 4 channels; allowed is .* of 3"),
        (lambda: stages(shape=(0, 2, 4)), r"^shape: 0; allowed is 1\.\."),
        (lambda: stages(entry=(zeros(4, 4)[0], zeros(3, 1)[1])), r"^entry: 3 biases; allowed is 4"),
        (lambda: stages(entry_shift=32), r"^entry_shift: 32; allowed is 0\.\.31"),
        (lambda: stages(kernels=zeros(3, 2)), r"^kernels: 3 of 2 numbers over 4 "),
        (lambda: stages(kernels=None, padding=(1, 0, 0, 0)), r"^kernels: None given; allowed with"),
        (lambda: stages(kernels=None, exit=None), r"^kernels: None given; allowed with "),
        (lambda: stages(exit=zeros(4, 4)), r"^exit: 4 outputs of 4 numbers; allowed is .* of 2"),
        (
            lambda: stages(kernel=(1, 2), dilation=(1, 2), kernels=zeros(2, 4)),
            r"^kernel: reaches over 1 x 3; allowed is what the padded input has, 2 x 2",
        ),
        (lambda: stages(stride=(0, 1)), r"^stride: 0; allowed is 1\.\."),
        (
            lambda: backend.convolve_stages(np.zeros(15, np.uint8), stages(), 1),
            r"^x: 15 numbers; at least 16 are read",
        ),
        (
            lambda: backend.convolve_stages(np.zeros(16, np.int16), stages(), 1),
            "^x: expected a C-contiguous .* uint8",
        ),
        (
            lambda: backend.convolve_stages(
                np.zeros(16, np.uint8), stages(), 1, sums=np.zeros(15, np.int32)
            ),
            "^sums: expected an array of 16 numbers",
        ),
    ],
)  # fmt: skip
def test_refusals(call: Callable[[], object], line: str) -> None:
    with pytest.raises(UsageError, match=line):
        call()
