"""What of a graph depends on no input: sizes, and tensors made of parameters and buffers."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils import _pytree as pytree

from quantlab.graphs.shapes import evaluating

Known = Mapping[fx.Node, Any]


def known_values(gm: fx.GraphModule, example: Tensor) -> Known:
    """Return the values of all nodes that give no tensor, and of those that give tensors that
    depend on no input and on no random number; sizes are those of an example."""
    recorder = _Recorder(gm)
    with evaluating(gm), torch.no_grad():
        recorder.run(example.clone())
    return recorder.known


class _Recorder(fx.Interpreter):
    def __init__(self, gm: fx.GraphModule) -> None:
        super().__init__(gm)
        self.known: dict[fx.Node, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        state = torch.get_rng_state()
        result = super().run_node(n)
        is_drawn = not torch.equal(state, torch.get_rng_state())
        is_free = n.op != "placeholder" and self.known.keys() >= set(n.all_input_nodes)
        has_tensor = any(isinstance(leaf, Tensor) for leaf in pytree.tree_leaves(result))
        if not has_tensor or (is_free and not is_drawn):
            self.known[n] = result
        return result
