"""Weights of a layer, some outputs at a time: each slice is multiplied like a layer of its own.

Shapes: O outputs.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import lcm, prod

import numpy as np

from quantlab.deploy.c.intermittent.power import Power
from quantlab.deploy.c.kernels.kernel import Factors, Kernel, Stored
from quantlab.integer.groups import Group

_LEAST = 4  # outputs that kernels make at once


def sliced(factors: Factors, kernel: Kernel, power: Power | None, together: int) -> list[Stored]:
    """Return the weights of a layer, in slices if power failures ask for it. together: as of
    `rows_of_pools`."""
    num_outputs = len(factors.weight)
    size = num_outputs if power is None else slice_size(factors, kernel, power, together)
    if size == num_outputs:
        return [kernel.store(factors)]
    return [kernel.store(one) for one in _parts(factors, size)]


def slice_size(factors: Factors, kernel: Kernel, power: Power, together: int) -> int:
    """Return how many outputs a slice has: all of them, unless a tile of the fewest rows would take
    more than is wanted. Layers of several groups have no slices."""
    num_outputs = len(factors.weight)
    if factors.groups > 1:
        return num_outputs
    share = min(together / factors.num_places[0], 1)
    size = -(-num_outputs // _LEAST) * _LEAST
    while size > _LEAST and share * _most(factors, kernel, size) > power.wanted:
        size = -(-size // (2 * _LEAST)) * _LEAST
    return min(size, num_outputs)


def sliced_instructions(factors: Factors, kernel: Kernel, size: int) -> float:
    """Return the instructions of a layer whose slices have `size` outputs, all as many as those of
    the largest."""
    return _most(factors, kernel, size) * len(_parts(factors, size))


def _most(factors: Factors, kernel: Kernel, size: int) -> float:
    return max(kernel.instructions(one) for one in _parts(factors, size))


def _parts(factors: Factors, size: int) -> list[Factors]:
    return [
        replace(factors, weight=factors.weight[first : first + size])
        for first in range(0, len(factors.weight), size)
    ]


def rows_of_pools(group: Group) -> int:
    """Return how many rows of a layer are made together: what is pooled of them is one row."""
    strides = [one.pooling.windows.stride[0] for one in group.made if one.pooling is not None]
    return lcm(*strides)


def joined(slices: Sequence[Stored]) -> Stored:
    """Return the weights of a layer from its slices, one behind the other."""
    first, *others = slices
    if not others:
        return first
    added = [one.added for one in slices if one.added is not None]
    scratch = [one.scratch for one in slices if one.scratch is not None]
    return replace(
        first,
        weights=np.concatenate([one.weights.reshape(-1).view(np.uint8) for one in slices]),
        is_gathered=any(one.is_gathered for one in slices),
        is_of_places=any(one.is_of_places for one in slices),
        scratch=max(scratch, key=lambda kind: prod(kind.shape)) if scratch else None,
        added=np.concatenate(added) if added else None,
    )
