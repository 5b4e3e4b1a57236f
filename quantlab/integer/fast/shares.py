"""How a batch is divided up."""

from collections.abc import Sequence
from math import prod

import numpy as np

from quantlab.integer.program import Program

# Of the largest tensor of a share: more would leave the caches, fewer read all weights more often.
_BYTES = 2**23


def shares_of(program: Program, counts: Sequence[int], num_threads: int) -> list[slice]:
    """Return the samples of each share; none if the batch is better left whole.

    counts: the samples of each input. A batch is shared out if every thread has a share, and none
    waits long for the last one.
    """
    if len(set(counts)) != 1:
        return []
    (count,) = set(counts)
    largest = max(prod(t.shape) * np.dtype(t.kind.dtype).itemsize for t in program.types.values())
    share = max(min(_BYTES // max(largest, 1), count // num_threads), 1)
    num_shares = -(-count // share)
    if num_shares < 2 * num_threads and num_shares % num_threads:
        return []
    return [slice(start, start + share) for start in range(0, count, share)]
