"""Tensors that wait for the backward pass in eight bits."""

from typing import NamedTuple

import torch
from torch import Tensor

_STEPS = 253  # two fewer than codes, for what lies on a step and for thresholds beyond all numbers


class Compact(NamedTuple):
    """Numbers start + codes * step. codes: uint8; the others broadcast against them."""

    codes: Tensor
    step: Tensor
    start: Tensor

    def restored(self) -> Tensor:
        """Return the numbers, each within half a step of what it was."""
        return torch.addcmul(self.start, self.codes, self.step)


def compact(x: Tensor, dims: tuple[int, ...]) -> Compact:
    """Return numbers in equal steps from the least to the largest over `dims`."""
    start = x.amin(dims, keepdim=True)
    step = _positive((x.amax(dims, keepdim=True) - start) / 255)
    return Compact(((x - start) / step).round_().to(torch.uint8), step, start)


def compact_sides(normal: Tensor, gamma: Tensor, beta: Tensor) -> tuple[Compact, Tensor]:
    """Return numbers in equal steps of each channel, none of which has numbers with gamma * n +
    beta > 0 and others; and the first code above them: `is_positive` tells the sides apart.

    normal: `[O, N]`; gamma, beta: `[O]`. A ReLU's gradient is exact, then: it depends on the side.
    """
    low, high = normal.aminmax(dim=1)
    step = _positive((high - low) / _STEPS)
    threshold = torch.where(gamma != 0, -beta / gamma, high)
    threshold = threshold.nan_to_num(0.0).clamp(low - step / 4, high + step / 4)
    steps = (normal - threshold[:, None]).div_(step[:, None])
    # A number on the threshold is not positive, on whichever side the positive ones are.
    steps = torch.where(gamma[:, None] > 0, steps.ceil() - 1, steps.floor_())
    first = torch.floor((low - threshold) / step) - 1
    codes = (steps - first[:, None]).clamp_(0, 255).to(torch.uint8)
    start = threshold + (first + 0.5) * step
    return Compact(codes, step[:, None], start[:, None]), -first


def is_positive(codes: Tensor, above: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    """Return where gamma * n + beta > 0, of what `compact_sides` returned."""
    side = codes >= above[:, None]
    constant = (beta > 0)[:, None]
    return torch.where(gamma[:, None] > 0, side, torch.where(gamma[:, None] < 0, ~side, constant))


def _positive(step: Tensor) -> Tensor:
    return torch.where(step > 0, step, torch.ones_like(step))
