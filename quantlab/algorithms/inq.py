"""INQ: weights are put on the grid in portions, and the rest learns to make up for them.

At the epochs where the schedule's fraction rises, so many more weights of each layer are set to
their nearest level and stay there; the others go on learning (A. Zhou et al., Incremental Network
Quantization, 2017, arXiv:1702.03044, section 3.2). Forward, backward, levels and scales are those
of `partial`.

    strategy     the next portion
    magnitude    the largest weights (the paper's pruning-inspired strategy)
    random       any weights, by the controllers' generator, the same on all ranks

The paper's b bits are 2^(b - 1) + 1 levels: 3, 5 and 17 for 2, 3 and 5 bits.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from quantlab.algorithms.partial import LevelInit, PartialQuantizer
from quantlab.algorithms.partial_config import PartialConfig, as_partial, share_at
from quantlab.algorithms.site import Site
from quantlab.controller import Context, Controller
from quantlab.numerics.levels import LevelKind
from quantlab.quantizer import Quantizer
from quantlab.schedule import Schedule

Strategy = Literal["magnitude", "random"]


class InqController(Controller):
    """Fixes weights as the schedule says. What is fixed stands in the quantizers' masks."""

    def __init__(
        self,
        sites: Sequence[Site[PartialQuantizer]],
        *,
        fraction: Schedule,
        strategy: Strategy,
        reset_optimizer: bool,
    ) -> None:
        self._sites = list(sites)
        self._fraction = fraction
        self._strategy = strategy
        self._resets = reset_optimizer

    def on_epoch_start(self, context: Context) -> None:
        fraction = share_at(self._fraction, context.epoch)
        if fraction <= 0:
            return
        for site in self._sites:
            quantizer, weight = site.quantizer, site.weight
            if not quantizer.is_enabled:
                quantizer.observe(weight)
                quantizer.set_enabled(True)
            count = int(fraction * weight.numel() + 0.5) - int(quantizer.mask.sum())
            if count > 0:
                self._fix(site, count, context)

    def on_step_end(self, context: Context) -> None:
        """Undo what decay or momentum did to fixed weights."""
        for site in self._sites:
            if site.quantizer.is_enabled:
                put_on_grid(site)

    def describe(self, epoch: int) -> str:
        count = len(self._sites)
        share = share_at(self._fraction, epoch)
        return f"inq: {100 * share:.4g} % of {count} tensor{'' if count == 1 else 's'} fixed"

    def _fix(self, site: Site[PartialQuantizer], count: int, context: Context) -> None:
        weight, mask = site.weight.detach(), site.quantizer.mask
        if self._strategy == "magnitude":
            order = weight.abs().flatten()
        else:
            order = torch.rand(weight.numel(), generator=context.generator).to(weight.device)
        # Stable, so that equal weights fall alike on every machine.
        flat = mask.flatten()
        ranking = order.masked_fill(flat, -1.0).argsort(descending=True, stable=True)
        flat = flat.index_fill(0, ranking[:count], True)
        mask.copy_(flat.reshape(mask.shape))
        put_on_grid(site)
        if context.optimizer is not None:
            forget(context.optimizer, site.weight, None if self._resets else mask)


@torch.no_grad()
def put_on_grid(site: Site[PartialQuantizer]) -> None:
    """Set the quantized part of a weight to its numbers on the grid."""
    quantizer, weight = site.quantizer, site.weight
    grid = quantizer.on_grid(quantizer.split(weight)).reshape(weight.shape)
    weight.copy_(torch.where(quantizer.mask, grid, weight))


@torch.no_grad()
def forget(optimizer: torch.optim.Optimizer, weight: nn.Parameter, mask: Tensor | None) -> None:
    """Drop what an optimizer knows of a weight, or set it to zero where `mask`."""
    if mask is None:
        optimizer.state.pop(weight, None)
        return
    for value in optimizer.state.get(weight, {}).values():
        if isinstance(value, Tensor) and value.shape == weight.shape:
            value.masked_fill_(mask, 0.0)


class InqConfig(PartialConfig):
    """The settings of INQ.

    levels: uniform or power_of_two; None: power_of_two.
    init: how the scale is found, see `partial`; None: max.
    strategy: which weights come next, see the module.
    reset_optimizer: drop the momenta of a layer whenever weights of it are fixed; false drops those
        of the fixed weights only.
    """

    kind: Literal["inq"] = "inq"
    strategy: Strategy = "magnitude"
    reset_optimizer: bool = True

    @property
    def level_kind(self) -> LevelKind:
        return self.levels or "power_of_two"

    @property
    def level_init(self) -> LevelInit:
        return self.init or "max"

    @property
    def is_whole_in_eval(self) -> bool:
        return False

    def controller(self, sites: Sequence[Site[Quantizer]]) -> Controller:
        return InqController(
            [as_partial(site) for site in sites],
            fraction=self.fraction,
            strategy=self.strategy,
            reset_optimizer=self.reset_optimizer,
        )
