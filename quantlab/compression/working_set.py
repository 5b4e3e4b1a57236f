"""How many elements lie in memory at one time, if nothing is written over what it is made of."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from quantlab.compression.moments import Observed


@torch.no_grad()
def sizes_of(layer: nn.Module, observed: Observed | None) -> list[int]:
    """Return the elements of what a layer, or each one of a sequence, gets and gives for a sample;
    none for a layer that is not called."""
    if observed is None:
        return []
    weight = next(layer.parameters())
    x = torch.zeros((1, *observed.input_shape), dtype=weight.dtype, device=weight.device)
    sizes = [x.numel()]
    for part in layer if isinstance(layer, nn.Sequential) else [layer]:
        x = part(x)
        sizes.append(x.numel())
    return sizes


def working_set(sizes: Sequence[int]) -> int:
    """Return the most elements of two tensors in succession: `max(in + R1, R1 + R2, R2 + out)`."""
    return max(map(sum, pairwise(sizes)), default=0)
