"""The one rounding rule: half up, `floor(x + 1/2)`.

Half up, not half to even as `torch.round`, because adding one half and shifting right is what
integer hardware does: training, the integer program and every back end round alike.

What is guaranteed for float32 (for float64 replace 23 by 52): the result is the integer nearest to
`x`, ties upwards, for every `|x| < 2^23`, but for one single number. The sum `x + 1/2` is exact
wherever it could matter, except for the largest number below one half, 0.49999997 = 1/2 - 2^-25:
its sum is a tie between 1 - 2^-24 and 1 and becomes 1, so the result is 1 where 0 is nearest.
From 2^23 on all numbers are integers, and the sum may move odd ones by one; quantizers clamp far
below that. Half precision is never rounded here: see `affine.widen`.
"""

from torch import Tensor


def round_half_up_(x: Tensor) -> Tensor:
    """Round `x` (float32 or float64, any shape) in place to whole numbers, ties upwards."""
    return x.add_(0.5).floor_()


def round_half_up(x: Tensor) -> Tensor:
    """Return `x` (float32 or float64, any shape) rounded to whole numbers, ties upwards."""
    return round_half_up_(x.clone())
