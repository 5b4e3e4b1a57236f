"""RPR: at each step a random part of the weights is float and learns, the rest is on the grid.

Each weight is quantized with the probability that the schedule's fraction says, drawn anew at every
step (L. Cavigelli and L. Benini, RPR: Random Partition Relaxation, 2020, arXiv:2001.01091, section
III). Forward, backward, levels and scales are those of `partial`; the float values of quantized
weights are kept, to go on from when they are drawn as float again. In evaluation all weights are on
the grid.

Which weights are drawn is a function of the run's seed, the step and the layer, on each device
type: the same on all ranks, and after resuming.
"""

from collections.abc import Sequence
from typing import Literal

import torch

from quantlab.algorithms.draws import generator_for
from quantlab.algorithms.partial import LevelInit, PartialQuantizer
from quantlab.algorithms.partial_config import PartialConfig, as_partial, share_at
from quantlab.algorithms.site import Site
from quantlab.controller import Context, Controller
from quantlab.numerics.levels import LevelKind
from quantlab.quantizer import Quantizer
from quantlab.schedule import Schedule


class RprController(Controller):
    """Draws which weights are on the grid. It has no state."""

    def __init__(self, sites: Sequence[Site[PartialQuantizer]], *, fraction: Schedule) -> None:
        self._sites = list(sites)
        self._fraction = fraction

    def on_epoch_start(self, context: Context) -> None:
        if share_at(self._fraction, context.epoch) > 0:
            for site in self._sites:
                if not site.quantizer.is_enabled:
                    site.quantizer.observe(site.weight)
                    site.quantizer.set_enabled(True)

    def on_step_start(self, context: Context) -> None:
        fraction = share_at(self._fraction, context.epoch)
        for index, site in enumerate(self._sites):
            if site.quantizer.is_enabled:
                mask = site.quantizer.mask
                generator = generator_for(context, index, mask.device)
                drawn = torch.rand(mask.shape, generator=generator, device=mask.device)
                torch.lt(drawn, fraction, out=mask)

    def describe(self, epoch: int) -> str:
        count = len(self._sites)
        share = share_at(self._fraction, epoch)
        tensors = f"{count} tensor{'' if count == 1 else 's'}"
        return f"rpr: {100 * share:.4g} % of {tensors} quantized, at random"


class RprConfig(PartialConfig):
    """The settings of RPR.

    levels: uniform or power_of_two; None: uniform.
    init: how the scale is found, see `partial`; None: mse.
    """

    kind: Literal["rpr"] = "rpr"

    @property
    def level_kind(self) -> LevelKind:
        return self.levels or "uniform"

    @property
    def level_init(self) -> LevelInit:
        return self.init or "mse"

    @property
    def is_whole_in_eval(self) -> bool:
        return True

    def controller(self, sites: Sequence[Site[Quantizer]]) -> Controller:
        return RprController([as_partial(site) for site in sites], fraction=self.fraction)
