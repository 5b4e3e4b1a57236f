"""Ranges: which numbers the values of a network take on samples."""

from typing import Any

import torch
from torch import Tensor, fx

from quantlab.graphs.shapes import evaluating

Ranges = dict[str, tuple[float, float]]


def observe_ranges(gm: fx.GraphModule, samples: Tensor, *, batch_size: int = 32) -> Ranges:
    """Return the lowest and highest number of each node's tensor, by the node's name."""
    recorder = _Recorder(gm)
    with evaluating(gm), torch.no_grad():
        for part in samples.split(batch_size):
            recorder.run(part)
    return recorder.ranges


class _Recorder(fx.Interpreter):
    def __init__(self, gm: fx.GraphModule) -> None:
        super().__init__(gm)
        self.ranges: Ranges = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, Tensor) and result.is_floating_point() and result.numel():
            low, high = (float(end) for end in result.aminmax())
            before = self.ranges.get(n.name, (low, high))
            self.ranges[n.name] = min(before[0], low), max(before[1], high)
        return result
