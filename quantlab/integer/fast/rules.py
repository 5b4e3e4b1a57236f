"""What makes codes of sums, as the kernels take it."""

from collections.abc import Sequence

import numpy as np

from quantlab.backend import CodesRule
from quantlab.integer.fast.layout import by_channel
from quantlab.integer.operations import Operation, Threshold
from quantlab.integer.operations.rescale import Rescale
from quantlab.integer.tensor_type import S32, TensorType

_MOST_LIMITS = 255
_BEYOND = 2**33  # no number of 32 bits, nor that plus one


def rule_of(
    operation: Operation,
    types: Sequence[TensorType],
    first: int = 0,
    num_groups: int = 1,
    repeats: int = 1,
) -> CodesRule | None:
    """Return the rule of an operation whose input numbered `first` is the sums; None if the kernels
    cannot do it: constants that vary along other axes than the channels', sides that broadcast.

    types: of the inputs. num_groups: of the convolution that makes the sums.
    repeats: how many rows of channels the kernel takes for one.
    """
    shape = types[0].shape
    if isinstance(operation, Threshold):
        return _counting(operation, shape, num_groups, repeats)
    if not isinstance(operation, Rescale) or any(given.shape != shape for given in types):
        return None
    constants = [by_channel(m, shape) for m in operation.multipliers]
    constants += [by_channel(operation.offset, shape), by_channel(operation.shift, shape)]
    if any(constant is None for constant in constants):
        return None
    *multipliers, offset, shift = (np.tile(c, repeats) for c in constants if c is not None)
    multiplier = multipliers.pop(first)
    other = multipliers[0] if multipliers else None
    return CodesRule.rescaling(
        multiplier, other, offset, shift, operation.low, operation.high, num_groups
    )


def _counting(
    operation: Threshold, shape: tuple[int, ...], num_groups: int, repeats: int
) -> CodesRule | None:
    """Where the sign is -1, -x >= t is x <= -t: all but those with x > -t."""
    if len(shape) not in (1, 3):
        return None
    channels, num_levels = shape[0], operation.thresholds.shape[1]
    if not 1 <= num_levels <= _MOST_LIMITS:
        return None
    is_rising = np.broadcast_to(operation.signs, (channels,)) > 0
    within = operation.thresholds.clip(-_BEYOND, _BEYOND)
    thresholds = np.broadcast_to(within, (channels, num_levels))
    limits = np.where(is_rising[:, None], thresholds - 1, -thresholds)
    if limits.min() < S32.minimum:
        return None
    return CodesRule.counting(
        np.tile(np.where(is_rising, operation.low, operation.high).astype(np.int32), repeats),
        np.tile(np.where(is_rising, operation.step, -operation.step).astype(np.int32), repeats),
        np.ascontiguousarray(np.tile(limits.clip(max=S32.maximum).T.astype(np.int32), repeats)),
        num_groups,
    )
