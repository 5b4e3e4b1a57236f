"""The controller that starts quantizers at an epoch.

Weights, and what needs no range, start at once. Inputs and outputs are observed during the epoch
before the start, or with start_epoch 0 during the first `observe_steps` steps; then the ranges of
all ranks are merged, so that all hold the same grid.
"""

from collections.abc import Sequence

import torch

from quantlab.algorithms.observers import Observer
from quantlab.algorithms.ranged_quantizer import RangedQuantizer
from quantlab.algorithms.site import Site
from quantlab.controller import Context, Controller
from quantlab.errors import DivergedError, UsageError
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
        self._activations = [ranged for site in sites if (ranged := as_observed(site))]
        self._others = [site for site in sites if as_observed(site) is None]
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
            self._start(waiting, context)
        elif context.epoch >= self._start_epoch - 1:
            for observed in waiting:
                observed.quantizer.set_observing(True)

    def on_step_start(self, context: Context) -> None:
        """Raises DivergedError, UsageError: see `on_epoch_start`, which starts later epochs."""
        if self._observe_steps and context.step >= self._observe_steps:
            waiting = self._waiting()
            if waiting:
                self._start(waiting, context)

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

    def _waiting(self) -> list[Site[RangedQuantizer]]:
        return [site for site in self._activations if not site.quantizer.is_enabled]

    def _start(self, waiting: Sequence[Site[RangedQuantizer]], context: Context) -> None:
        """Merge the observed ranges over the ranks in one go, freeze them and quantize."""
        communicator = context.communicator
        observers = [_observer(site) for site in waiting]
        seen = [torch.stack([-o.minimum, o.maximum, o.num_batches]) for o in observers]
        merged = communicator.all_reduce(torch.stack(seen), "max").cpu()
        for site, observer, (low, high, num_batches) in zip(
            waiting, observers, merged, strict=True
        ):
            if not num_batches:
                raise UsageError(
                    f"{site.name}: 0 batches observed before epoch {context.epoch}, step "
                    f"{context.step}; at least 1 needed"
                )
            if not (low.isfinite() and high.isfinite()):
                raise DivergedError(
                    f"{site.name}: range [{-low.item()}, {high.item()}] observed, "
                    "finite numbers allowed"
                )
            spec = site.quantizer.spec
            site.quantizer.start(*observer.range_for(spec, -low, high, communicator))


def _observer(site: Site[RangedQuantizer]) -> Observer:
    observer = site.quantizer.observer
    assert observer is not None
    return observer


def as_observed(site: Site[Quantizer]) -> Site[RangedQuantizer] | None:
    """Return a site whose range is observed as one of a RangedQuantizer, else None."""
    quantizer = site.quantizer
    if isinstance(quantizer, RangedQuantizer) and quantizer.observer is not None:
        return Site(name=site.name, on=site.on, layer=site.layer, quantizer=quantizer)
    return None
