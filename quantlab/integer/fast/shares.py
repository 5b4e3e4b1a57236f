"""How a batch is divided up."""

from collections.abc import Iterable, Sequence
from math import prod

import numpy as np

from quantlab.integer.tensor_type import TensorType

# Of the largest tensor of a share: more would leave the caches, fewer read all weights more often.
_BYTES = 2**23


def num_bytes(tensors: Iterable[TensorType]) -> int:
    """Return the bytes of a sample of the largest tensor."""
    return max(prod(one.shape) * np.dtype(one.kind.dtype).itemsize for one in tensors)


def shares_of(largest: int, counts: Sequence[int], num_threads: int) -> list[slice]:
    """Return the samples of each share; none if the batch is better left whole.

    largest: bytes of a sample of the largest tensor. counts: the samples of each input. A batch is
    shared out if every thread has a share, and none waits long for the last one.
    """
    if len(set(counts)) != 1:
        return []
    (count,) = set(counts)
    share = max(min(_BYTES // max(largest, 1), count // num_threads), 1)
    num_shares = -(-count // share)
    if num_shares < 2 * num_threads and num_shares % num_threads:
        return []
    return [slice(start, start + share) for start in range(0, count, share)]
