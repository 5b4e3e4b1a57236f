"""The weights whose loss costs least for each byte, over all layers, with the bits of each layer.

The predicted loss of a layer that keeps the n most important of its weights in b bits is

    sum of F w^2 over the removed ones + r sum of F d^2 / 12 over the kept ones

over all weights, those that were removed before among them: they come back where they are worth
their bytes. F is the importance of `importance.py` and d the step of a grid of b bits for the
largest weight of an output; rounding errors are taken as uniform within a step. Training with
quantizers makes up for most of them: r is the part that stays.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from quantlab.compression.allocation import Options, allocate
from quantlab.compression.byte_curve import ByteCurve
from quantlab.compression.selection import (
    Present,
    Selection,
    Selector,
    least_kept,
    mask_of,
    ranking,
)

_NUM_COUNTS = 256
_STAYING = 0.25
_CLIPPED = 0.7  # of the range: the step with the least squared error clips the largest weights


class Sensitivity(Selector):
    """See the module."""

    @torch.no_grad()
    def select(self, present: Present, nbytes: float) -> Selection:
        fisher = present.importance.fisher()
        orders, options = {}, {}
        for name, curve in present.curves.items():
            weight = present.weights[name]
            orders[name] = ranking(fisher[name] * weight.square(), weight)
            least = least_kept(present.layers[name])
            options[name] = _options(
                weight, fisher[name], orders[name], curve, present.weight_bits, least
            )
        chosen = allocate(options, nbytes)
        return Selection(
            masks={
                name: mask_of(orders[name], one.count, present.weights[name])
                for name, one in chosen.items()
            },
            bits={name: one.bits for name, one in chosen.items()},
        )

    def observe(self, accuracy: float) -> None:
        """Nothing: the loss is predicted from gradients."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Nothing is kept."""


def _options(
    weight: Tensor,
    fisher: Tensor,
    order: Tensor,
    curve: ByteCurve,
    bits: Sequence[int],
    least: int,
) -> Options:
    """Return what a layer can take. order: of its weights. least: how many it keeps at least."""
    least = min(least, len(order))
    counts = np.unique(np.geomspace(max(least, 1), max(len(order), 1), _NUM_COUNTS).astype(int))
    counts = counts[counts <= len(order)] if len(order) else np.zeros(1, int)
    found = fisher.flatten()[order].double()
    costs = found * weight.flatten()[order].double().square()
    removed = costs.sum() - _sums(costs, counts)
    largest = weight.abs().flatten(1).amax(1).double()
    outputs = order // (weight.numel() // len(largest))
    losses, sizes, all_bits = [], [], []
    for one in bits:
        step = largest / (2 ** (one - 1) - 1) * (1.0 if one == 8 else _CLIPPED)
        rounding = _STAYING * _sums(found * step[outputs].square() / 12, counts)
        losses.append((removed.clamp(min=0) + rounding).cpu().numpy())
        sizes.append(curve.at(counts, one))
        all_bits.append(np.full(len(counts), one))
    return Options(
        counts=np.tile(counts, len(bits)),
        bits=np.concatenate(all_bits),
        loss=np.concatenate(losses),
        nbytes=np.concatenate(sizes),
    )


def _sums(values: Tensor, counts: np.ndarray) -> Tensor:
    """Return the sums of the first values."""
    sums = torch.cat([values.new_zeros(1), values.cumsum(0)])
    return sums[torch.from_numpy(counts).to(values.device)]
