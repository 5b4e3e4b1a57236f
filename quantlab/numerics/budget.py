"""One option for each of several parts: the least loss within a number of bytes.

Each part has options with a loss and bytes. For a price of a byte every part takes the option of
the least loss + price * bytes; the price is found by bisection (Y. Shoham, A. Gersho, Efficient bit
allocation for an arbitrary set of quantizers, 1988, section III). The bytes that are left then go
where they save the most loss for each byte.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_STEPS = 120


@dataclass(frozen=True, kw_only=True)
class Costs:
    """The options of one part: the loss and the bytes of each, `[options]`."""

    loss: NDArray[np.float64]
    nbytes: NDArray[np.float64]


def cheapest(parts: Mapping[str, Costs], nbytes: float) -> dict[str, int]:
    """Return the index of the option of each part. Their bytes are at most `nbytes` in all, or the
    least that there are."""
    chosen = _at_price(parts, 0.0)
    if _total(parts, chosen) > nbytes:
        low, high = 1e-30, 1e30  # in the logarithm: losses may be of any size
        for _ in range(_STEPS):
            middle = float(np.sqrt(low * high))
            if _total(parts, _at_price(parts, middle)) > nbytes:
                low = middle
            else:
                high = middle
        chosen = _at_price(parts, high)
        _fill(parts, chosen, nbytes)
    return chosen


def _at_price(parts: Mapping[str, Costs], price: float) -> dict[str, int]:
    if price == 0.0:
        return {name: int(np.lexsort((own.nbytes, own.loss))[0]) for name, own in parts.items()}
    return {name: int(np.argmin(own.loss + price * own.nbytes)) for name, own in parts.items()}


def _total(parts: Mapping[str, Costs], chosen: Mapping[str, int]) -> float:
    return sum(float(parts[name].nbytes[index]) for name, index in chosen.items())


def _fill(parts: Mapping[str, Costs], chosen: dict[str, int], nbytes: float) -> None:
    """Spend the bytes that are left, in place."""
    while True:
        left = nbytes - _total(parts, chosen)
        best, gain = None, 0.0
        for name, own in parts.items():
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
