"""What stands against a sparse layer in the place of a dense one."""

import torch
from torch import nn

from quantlab.graphs import replace
from quantlab.graphs.replace import DenseLayer


def obstacle(network: nn.Module, layer: DenseLayer) -> str | None:
    """Return why a layer cannot be replaced by a sparse one that computes the same, None if it
    can; beside the reasons of `quantlab.graphs.replace`, where and of what type its weight is."""
    reason = replace.obstacle(network, layer)
    if reason is not None:
        return reason
    if layer.weight.device.type != "cpu":
        return f"its weight is on {layer.weight.device}; sparse layers run on the CPU"
    if layer.weight.dtype not in (torch.float32, torch.float64):
        return f"its weight is {layer.weight.dtype}; float32 or float64 allowed"
    return None
