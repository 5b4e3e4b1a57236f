"""Which layer keeps how many weights of how many bits: the least loss within a number of bytes.

Each layer has options, with the loss that each is predicted to cost and its bytes. For a price of a
byte every layer takes the option of the least loss + price * bytes; the price is found by bisection
(Y. Shoham, A. Gersho, Efficient bit allocation for an arbitrary set of quantizers, 1988, section
III). The bytes that are left then go where they save the most loss for each byte.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_STEPS = 60


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
    chosen = _at_price(options, 0.0)
    if _total(options, chosen) > nbytes:
        low, high = 1e-30, 1e30  # in the logarithm: losses may be of any size
        for _ in range(_STEPS * 2):
            middle = float(np.sqrt(low * high))
            if _total(options, _at_price(options, middle)) > nbytes:
                low = middle
            else:
                high = middle
        chosen = _at_price(options, high)
        _fill(options, chosen, nbytes)
    return {
        name: Choice(
            count=int(own.counts[chosen[name]]),
            bits=int(own.bits[chosen[name]]),
            loss=float(own.loss[chosen[name]]),
            nbytes=float(own.nbytes[chosen[name]]),
        )
        for name, own in options.items()
    }


def _at_price(options: Mapping[str, Options], price: float) -> dict[str, int]:
    if price == 0.0:
        return {name: int(np.lexsort((own.nbytes, own.loss))[0]) for name, own in options.items()}
    return {name: int(np.argmin(own.loss + price * own.nbytes)) for name, own in options.items()}


def _total(options: Mapping[str, Options], chosen: Mapping[str, int]) -> float:
    return sum(float(options[name].nbytes[index]) for name, index in chosen.items())


def _fill(options: Mapping[str, Options], chosen: dict[str, int], nbytes: float) -> None:
    """Spend the bytes that are left, in place."""
    while True:
        left = nbytes - _total(options, chosen)
        best, gain = None, 0.0
        for name, own in options.items():
            now = chosen[name]
            more = own.nbytes - own.nbytes[now]
            less = own.loss[now] - own.loss
            fits = (more <= left) & (less > 0)
            if not fits.any():
                continue
            rates = np.where(fits, less / np.maximum(more, 1e-9), 0.0)
            index = int(np.argmax(rates))
            if rates[index] > gain:
                best, gain = (name, index), float(rates[index])
        if best is None:
            return
        chosen[best[0]] = best[1]
