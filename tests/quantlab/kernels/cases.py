"""Inputs of the kernels of integer programs, and what they should make of them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.backend import CodesRule, WindowPlaces

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
