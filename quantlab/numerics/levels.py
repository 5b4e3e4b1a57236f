"""Level sets that are not all the codes of some bits, and the level nearest to a number.

    num_levels    3          4             5             6                    7
    uniform       -1 0 1     -3 -1 1 3     -2 ... 2      -5 -3 -1 1 3 5       -3 ... 3
    power_of_two  -1 0 1     -2 -1 1 2     -2 -1 0 1 2   -4 -2 -1 1 2 4       -4 -2 -1 0 1 2 4

Levels are symmetric about zero, which is one of them if their number is odd, and between two of
them if it is even. They are codes: the numbers of the grid are their products with the scale.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from quantlab.errors import UsageError
from quantlab.numerics.rounding import round_half_up

LevelKind = Literal["uniform", "power_of_two"]

MAX_LEVELS = 255
_MAX_POWERS_LEVELS = 31  # 2^14 is the largest


def level_codes(num_levels: int, kind: LevelKind) -> tuple[int, ...]:
    """Return the levels in rising order. Raises UsageError."""
    most = MAX_LEVELS if kind == "uniform" else _MAX_POWERS_LEVELS
    if not 2 <= num_levels <= most:
        raise UsageError(f"num_levels: {num_levels} given, 2 to {most} allowed for {kind} levels")
    half = num_levels // 2
    if kind == "power_of_two":
        positive = [2**i for i in range(half)]
    elif num_levels % 2:
        positive = list(range(1, half + 1))
    else:
        positive = list(range(1, num_levels, 2))
    return (*(-code for code in reversed(positive)), *[0] * (num_levels % 2), *positive)


def num_bits_for(num_levels: int) -> int:
    """Return the bits that tell so many levels apart."""
    return (num_levels - 1).bit_length()


def nearest_level(v: Tensor, levels: Sequence[int]) -> Tensor:
    """Return the levels nearest to `v` (in units of the scale; float32 or float64), in its shape
    and type; in the middle between two it is the upper one. Rounds as `rounding` says."""
    steps = {high - low for low, high in pairwise(levels)}
    if steps == {1}:
        return round_half_up(v).clamp_(levels[0], levels[-1])
    if steps == {2} and levels[0] % 2:
        return (v / 2).floor_().mul_(2).add_(1).clamp_(levels[0], levels[-1])
    nearest = torch.full_like(v, levels[0])
    for low, high in pairwise(levels):
        nearest += (v >= (low + high) / 2).to(v.dtype) * (high - low)
    return nearest
