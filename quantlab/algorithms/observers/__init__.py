"""Observers: the range of a tensor from the batches that pass.

    name             range [minimum, maximum] after batches 1, ..., n
    minmax           the least and the greatest number seen
    moving_average   averages of each batch's least and greatest number: over all batches at first,
                     with weight 1 - DECAY for the newest later (Jacob et al. 2018,
                     arXiv:1712.05877, section 3.1)
    percentile       the same averages of each batch's percentiles 100 - p and p
    mse, kl          the range whose grid is nearest to all numbers seen; see `histogram`

All ranges include zero. Only statistics are kept, on the tensor's device, and nothing waits for it
until the range is asked for.
"""

from collections.abc import Mapping
from typing import Literal

from quantlab.algorithms.observers.extremes import MinMax, MovingAverage, Percentile
from quantlab.algorithms.observers.histogram import Kl, Mse
from quantlab.algorithms.observers.observer import Observer

__all__ = ["Observer", "ObserverKind", "make_observer"]

ObserverKind = Literal["minmax", "moving_average", "percentile", "mse", "kl"]

_SIMPLE: Mapping[ObserverKind, type[Observer]] = {
    "minmax": MinMax,
    "moving_average": MovingAverage,
    "mse": Mse,
    "kl": Kl,
}


def make_observer(kind: ObserverKind, percentile: float) -> Observer:
    """Return a new observer; `percentile` only matters to the one that is called so."""
    return Percentile(percentile) if kind == "percentile" else _SIMPLE[kind]()
