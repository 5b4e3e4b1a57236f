"""The grid of a weight as the next forward pass in training will find it."""

import copy

import torch
from torch import Tensor

from quantlab.quantizer import Quantizer


@torch.no_grad()
def next_grid(quantizer: Quantizer, weight: Tensor) -> Quantizer:
    """Return the quantizer, or if its grid follows the weight, a copy that has done so. So all
    ranks see the same grid, even one that had no samples in the last step."""
    if not (quantizer.is_observing and quantizer.training):
        return quantizer
    moved = copy.deepcopy(quantizer)
    moved.observe(weight.detach())
    return moved
