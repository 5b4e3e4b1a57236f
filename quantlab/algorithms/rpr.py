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
from typing import Literal, Self

import torch
from pydantic import model_validator
from torch import Tensor

from quantlab.algorithms.algorithm import AlgorithmConfig, GranularityField
from quantlab.algorithms.draws import generator_for
from quantlab.algorithms.inq import as_partial, check_rising, share_at
from quantlab.algorithms.layers import Target, check_weight_only
from quantlab.algorithms.partial import LevelInit, PartialQuantizer, level_spec
from quantlab.algorithms.site import Site
from quantlab.controller import Context, Controller
from quantlab.numerics.granularity import PerTensor
from quantlab.numerics.levels import LevelKind, level_codes
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


class RprConfig(AlgorithmConfig):
    """The settings of RPR.

    num_levels: odd for a zero among them; 3 is ternary.
    levels: uniform or power_of_two.
    init: how the scale is found, see `partial`.
    fraction: a schedule by the epoch, rising from 0 to 1: how many of the weights are on the grid.
    granularity: which weights share a scale; None for per_tensor.
    """

    kind: Literal["rpr"] = "rpr"
    num_levels: int
    levels: LevelKind = "uniform"
    init: LevelInit = "mse"
    fraction: Schedule
    granularity: GranularityField | None = None

    @model_validator(mode="after")
    def _check_settings(self) -> Self:
        level_codes(self.num_levels, self.levels)
        check_rising(self.fraction)
        return self

    def check(self, on: Target) -> None:
        check_weight_only(self.kind, on)

    def quantizer(self, on: Target, weight: Tensor) -> Quantizer:
        quantizer = PartialQuantizer(
            level_spec(self.num_levels, self.levels, self.granularity or PerTensor()),
            tuple(weight.shape),
            level_kind=self.levels,
            init=self.init,
            is_whole_in_eval=True,
        )
        quantizer.to(weight.device).observe(weight)
        return quantizer

    def controller(self, sites: Sequence[Site[Quantizer]]) -> Controller:
        return RprController([as_partial(site) for site in sites], fraction=self.fraction)
