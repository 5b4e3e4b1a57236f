"""The controller that starts quantizers at an epoch.

Weights, and what needs no range, start at once. Inputs and outputs are observed during the epoch
before the start, or with start_epoch 0 during the first `observe_steps` steps; then the ranges of
all ranks are merged, so that all hold the same grid.
"""

from collections.abc import Mapping, Sequence

from quantlab.algorithms.observers.merge import merged_ranges
from quantlab.algorithms.ranged_quantizer import RangedQuantizer
from quantlab.algorithms.site import Site
from quantlab.controller import Context, Controller, Reducer
from quantlab.quantizer import Quantizer


class StartController(Controller):
    """Starts the quantizers of a rule: float before `start_epoch`, fake-quantized from it on.

    It has no state of its own: what has been done stands in the quantizers.
    """

    def __init__(
        self,
        kind: str,
        sites: Sequence[Site[Quantizer]],
        *,
        start_epoch: int,
        observe_steps: int = 0,
    ) -> None:
        self._kind = kind
        self._activations = observed({site.name: site.quantizer for site in sites})
        self._others = [site for site in sites if site.name not in self._activations]
        self._start_epoch = start_epoch
        self._observe_steps = observe_steps if start_epoch == 0 else 0

    def on_epoch_start(self, context: Context) -> None:
        if context.epoch >= self._start_epoch:
            for site in self._others:
                if not site.quantizer.is_enabled:
                    if site.on == "weight":
                        site.quantizer.observe(site.weight)
                    site.quantizer.set_enabled(True)
                    site.quantizer.set_observing(site.quantizer.is_following)
        waiting = self._waiting()
        if not waiting:
            return
        if context.epoch >= self._start_epoch and context.step >= self._observe_steps:
            start_observed(waiting, context.communicator)
        elif context.epoch >= self._start_epoch - 1:
            for quantizer in waiting.values():
                quantizer.set_observing(True)

    def on_step_start(self, context: Context) -> None:
        """Raises DivergedError, UsageError: see `on_epoch_start`, which starts later epochs."""
        if self._observe_steps and context.step >= self._observe_steps:
            waiting = self._waiting()
            if waiting:
                start_observed(waiting, context.communicator)

    def describe(self, epoch: int) -> str:
        count = len(self._others) + len(self._activations)
        tensors = f"{self._kind}: {count} tensor{'' if count == 1 else 's'}"
        if epoch >= self._start_epoch:
            observed = f", activations after step {self._observe_steps}"
            return f"{tensors} fake-quantized" + (
                observed if self._activations and self._observe_steps else ""
            )
        is_next = self._activations and epoch == self._start_epoch - 1
        return f"{tensors} {'observed' if is_next else 'float'} until epoch {self._start_epoch}"

    def _waiting(self) -> dict[str, RangedQuantizer]:
        return {name: q for name, q in self._activations.items() if not q.is_enabled}


def start_observed(quantizers: Mapping[str, RangedQuantizer], communicator: Reducer) -> None:
    """Start quantizers that have observed, by name, with ranges merged over the ranks.

    Raises UsageError if one has observed nothing, DivergedError for an infinite range.
    """
    observers = {name: q.observer for name, q in quantizers.items() if q.observer is not None}
    for name, (low, high) in merged_ranges(observers, communicator).items():
        quantizers[name].start(low, high, communicator)


def observed(quantizers: Mapping[str, Quantizer]) -> dict[str, RangedQuantizer]:
    """Return those whose range is observed."""
    return {
        name: quantizer
        for name, quantizer in quantizers.items()
        if isinstance(quantizer, RangedQuantizer) and quantizer.observer is not None
    }
