"""Which layer keeps how many weights of how many bits: the least loss within a number of bytes.

Each layer has options, with the loss that each is predicted to cost and its bytes; see
`quantlab.numerics.budget` for the choice.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantlab.numerics.budget import Costs, cheapest


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a layer can take: of each option how many weights are kept, their bits, the predicted
    loss and the bytes, `[options]`."""

    counts: NDArray[np.int64]
    bits: NDArray[np.int64]
    loss: NDArray[np.float64]
    nbytes: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a layer takes."""

    count: int
    bits: int
    loss: float
    nbytes: float


def allocate(options: Mapping[str, Options], nbytes: float) -> dict[str, Choice]:
    """Return the options of the least loss whose bytes are at most `nbytes` in all, as far as the
    smallest ones are."""
    costs = {name: Costs(loss=own.loss, nbytes=own.nbytes) for name, own in options.items()}
    chosen = cheapest(costs, nbytes)
    return {
        name: Choice(
            count=int(own.counts[chosen[name]]),
            bits=int(own.bits[chosen[name]]),
            loss=float(own.loss[chosen[name]]),
            nbytes=float(own.nbytes[chosen[name]]),
        )
        for name, own in options.items()
    }
