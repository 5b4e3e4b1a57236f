"""The ranges that observers have seen, merged over the ranks."""

from collections.abc import Mapping

import torch
from torch import Tensor

from quantlab.algorithms.observers.observer import Observer
from quantlab.controller import Reducer
from quantlab.errors import DivergedError, UsageError


def merged_ranges(
    observers: Mapping[str, Observer], communicator: Reducer
) -> dict[str, tuple[Tensor, Tensor]]:
    """Return the widest range over all ranks for each observer, in one exchange, on the CPU.

    observers: by the name of the quantizer, for errors. Raises UsageError if one has seen no batch,
    and DivergedError if it has seen a number that is not finite. Waits for the device.
    """
    if not observers:
        return {}
    seen = [torch.stack([-o.minimum, o.maximum, o.num_batches]) for o in observers.values()]
    merged = communicator.all_reduce(torch.stack(seen), "max").cpu()
    ranges: dict[str, tuple[Tensor, Tensor]] = {}
    for name, (low, high, num_batches) in zip(observers, merged, strict=True):
        if not num_batches:
            layer = name.rpartition(".")[0]
            raise UsageError(
                f"{name}: 0 batches observed, at least 1 needed; the network must call the layer, "
                f"or the rules leave it out: '!{layer}'"
            )
        if not (low.isfinite() and high.isfinite()):
            raise DivergedError(
                f"{name}: range [{-low.item()}, {high.item()}] observed, finite numbers allowed"
            )
        ranges[name] = (-low, high)
    return ranges
