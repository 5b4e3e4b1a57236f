"""Grids: which integers stand for which real numbers."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from quantlab.errors import UsageError
from quantlab.integer.tensor_type import S16, S32, U8, IntegerType, smallest_type
from quantlab.quantizer import Quantizer

Reals = NDArray[np.float64]
_STEPS_PER_PIXEL = 128
_END_OF_NOTHING = 1.0  # of the grid where all numbers observed are zero
Encode = Callable[[Reals], NDArray[np.int64]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """real = (code - zero_point) * scale, for codes from `low` to `high`.

    scale, zero_point: float64 and int64, `[]` or, for a raw image and for what is only compared
        with thresholds, of its channels, `[C, 1, 1]`.
    step: between two codes.
    encode: gives the code of a real number, as training has it.
    """

    scale: Reals
    zero_point: NDArray[np.int64]
    low: int
    high: int
    kind: IntegerType
    step: int = 1
    encode: Encode

    @property
    def num_levels(self) -> int:
        return (self.high - self.low) // self.step + 1

    def is_same(self, other: "Grid | None") -> bool:
        """Return whether another grid has the same codes for the same numbers."""
        return other is not None and all(
            np.array_equal(getattr(self, name), getattr(other, name))
            for name in ("scale", "zero_point", "low", "high", "step")
        )


def grid_of(quantizer: Quantizer, path: str) -> Grid:
    """Return the grid of a quantizer of an input or output.

    Raises UsageError if its scales are more than one or its codes not evenly spaced.
    """
    codes = quantizer.spec.codes
    steps = {int(high) - int(low) for low, high in pairwise(codes)}
    if quantizer.scale.numel() != 1 or len(steps) != 1:
        raise UsageError(
            f"{path}: {quantizer.spec} given; one scale and evenly spaced codes allowed here"
        )

    if not torch.isfinite(quantizer.scale).all():
        raise UsageError(f"{path}.scale: {quantizer.scale.item()} given, a finite one allowed")

    def encode(reals: Reals) -> NDArray[np.int64]:
        return quantizer.codes(torch.from_numpy(reals)).numpy().astype(np.int64)

    low, high = int(codes[0]), int(codes[-1])
    return Grid(
        scale=quantizer.scale.detach().double().cpu().numpy().reshape(()),
        zero_point=quantizer.zero_point.cpu().numpy().astype(np.int64).reshape(()),
        low=low,
        high=high,
        step=steps.pop(),
        kind=smallest_type(low, high),
        encode=encode,
    )


def fine_grid(low: float, high: float) -> Grid:
    """Return a symmetric grid of 16 bits for numbers observed to be from `low` to `high`.

    It reaches a quarter further, for numbers that were not observed, and its end has 8 significant
    bits, so that the last bits of the observed numbers, which depend on the machine, do not matter.
    """
    end = _rounded_up(1.25 * (max(-low, high) or _END_OF_NOTHING))
    return _even(np.array(end / S16.maximum), np.array(0), -S16.maximum, S16.maximum, S16)


def shifted_grid(step: float, low: float, high: float) -> Grid:
    """Return a grid of 16 bits for sums observed to be from `low` to `high`, as `fine_grid` has
    them; its step is that of the sums, or so many times as much as a power of two: the sums become
    codes by a shift alone, and stay what they are if they fit."""
    needed = 1.25 * max(-low, high) / (step * S16.maximum)
    exponent = max(0, int(np.ceil(np.log2(needed)))) if needed > 0 else 0
    return _even(np.array(np.ldexp(step, exponent)), np.array(0), S16.minimum, S16.maximum, S16)


def byte_grid(low: float, high: float) -> Grid:
    """Return a grid of 8 bits for numbers observed to be from `low` to `high`, zero among them."""
    low, high = min(low, 0.0), max(high, 0.0)
    high = high if low < high else _END_OF_NOTHING
    scale = np.array((high - low) / U8.maximum)
    zero = np.array(int(np.floor(-low / scale + 0.5)))
    return _even(scale, zero, U8.minimum, U8.maximum, U8)


def seen_grid(low: float, high: float, num_bits: int) -> Grid:
    """Return a grid of at most 16 bits for numbers observed to be from `low` to `high`.

    In 8 bits it reaches no further than these but for the last of their ends' 8 significant bits.
    """
    if num_bits > 8:
        return fine_grid(low, high)
    return byte_grid(-_rounded_up(-low), _rounded_up(high))


def wide_grid(end: Reals, num_bits: int = 32) -> Grid:
    """Return a symmetric grid of at most 32 bits for numbers from `-end` to `end`."""
    most = 2 ** (num_bits - 1) - 1
    return _even(np.asarray(end / most), np.array(0), -most - 1, most, S32)


def sum_grid(end: float, num_bits: int = 32) -> Grid:
    """Return a symmetric grid of at most 32 bits for numbers from `-end` to `end`, its step a power
    of two.

    So a number goes from one such grid to another without loss, unless that has larger steps.
    """
    exponent = int(np.ceil(np.log2(end)))
    scale, most = np.array(np.ldexp(1.0, exponent - num_bits + 1)), 2 ** (num_bits - 1) - 1
    return _even(scale, np.array(0), -most, most, S32)


def pixel_grid(scale: Reals, zero_point: NDArray[np.int64], num_axes: int = 3) -> Grid:
    """Return that of raw images or signals, a scale and zero point for all channels or for each,
    `[C]`. num_axes: of the image, channels first."""
    axes = (-1, *[1] * (num_axes - 1)) if scale.size > 1 else ()
    return _even(scale.reshape(axes), zero_point.reshape(axes), 0, 255, U8)


def common_grid(pixels: Grid, num_bits: int) -> Grid:
    """Return a grid of one scale for raw images whose channels have scales of their own: 128 steps
    for the largest of a pixel's, in 16 bits; in 8, one that just has the numbers of all channels,
    so that a pixel is off by up to half a step, which is more than half its own."""
    if num_bits == 8:
        ends = (np.array([[pixels.low], [pixels.high]]) - pixels.zero_point.reshape(-1)) * (
            pixels.scale.reshape(-1)
        )
        return byte_grid(float(ends.min()), float(ends.max()))
    scale = pixels.scale.max() / _STEPS_PER_PIXEL
    end = _STEPS_PER_PIXEL * U8.maximum
    return _even(np.array(scale), np.array(0), -end, end, S16)


def _rounded_up(end: float) -> float:
    """Return a number from 0 with 8 significant bits, no less than one; 0 for those below."""
    mantissa, exponent = np.frexp(max(end, 0.0))
    return float(np.ldexp(np.ceil(mantissa * 256) / 256, exponent))


def _even(
    scale: Reals, zero_point: NDArray[np.int64], low: int, high: int, kind: IntegerType
) -> Grid:
    def encode(reals: Reals) -> NDArray[np.int64]:
        steps = np.floor(reals / scale + 0.5) + zero_point  # these may not fit in 64 bits
        codes: NDArray[np.int64] = steps.clip(low, high).astype(np.int64)
        return codes

    return Grid(scale=scale, zero_point=zero_point, low=low, high=high, kind=kind, encode=encode)
