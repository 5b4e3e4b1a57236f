"""Ranges: which numbers the values of a network take on samples."""

from typing import Any

import torch
from torch import Tensor, fx

from quantlab.graphs.paths import module_of
from quantlab.graphs.shapes import evaluating
from quantlab.integer.lower.stages import GENERATED_LAYERS, between, stages_of

Ranges = dict[str, tuple[float, float]]


def name_between(node: fx.Node, factor: str) -> str:
    """Return the name of what a factor of a node's layer makes for the next one, in `Ranges`."""
    return f"{node.name}.{factor}"


def observe_ranges(gm: fx.GraphModule, samples: Tensor, *, batch_size: int = 32) -> Ranges:
    """Return the lowest and highest number of each node's tensor, by the node's name, and of what
    passes between the factors of a generated layer, see `name_between`."""
    recorder = _Recorder(gm)
    with evaluating(gm), torch.no_grad():
        for part in samples.split(batch_size):
            recorder.run(part)
    return recorder.ranges


class _Recorder(fx.Interpreter):
    def __init__(self, gm: fx.GraphModule) -> None:
        super().__init__(gm)
        # Before the network runs: what is wrong with a layer is told without the graph's trace.
        self._stages = {
            node: (layer, stages_of(layer, str(node.target)))
            for node in gm.graph.find_nodes(op="call_module")
            if isinstance(layer := module_of(gm, node), GENERATED_LAYERS)
        }
        self.ranges: Ranges = {}

    def run_node(self, n: fx.Node) -> Any:
        if n in self._stages:
            args, kwargs = self.fetch_args_kwargs_from_env(n)
            (x,) = (*args, *kwargs.values())
            for factor, made in between(*self._stages[n], x):
                self._note(name_between(n, factor), made)
        result = super().run_node(n)
        if isinstance(result, Tensor) and result.is_floating_point() and result.numel():
            self._note(n.name, result)
        return result

    def _note(self, name: str, tensor: Tensor) -> None:
        low, high = (float(end) for end in tensor.aminmax())
        before = self.ranges.get(name, (low, high))
        self.ranges[name] = min(before[0], low), max(before[1], high)
