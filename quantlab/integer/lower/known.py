"""What of a graph depends on no input: sizes, and tensors made of parameters and buffers."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils import _pytree as pytree

from quantlab.graphs.shapes import evaluating

Known = Mapping[fx.Node, Any]
_aten = torch.ops.aten
# These read the shape of a tensor and none of its elements,
_FILLED = frozenset(
    (
        *(torch.zeros_like, torch.ones_like, torch.full_like),
        *("new_zeros", "new_ones", "new_full"),
        *(_aten.zeros_like.default, _aten.ones_like.default, _aten.full_like.default),
        *(_aten.new_zeros.default, _aten.new_ones.default, _aten.new_full.default),
    )
)
# and these of all but the first.
_SHAPED_AS = frozenset(
    (
        "expand_as",
        "view_as",
        "reshape_as",
        "type_as",
        _aten.expand_as.default,
        _aten.view_as.default,
    )
)


def sources_of(node: fx.Node) -> Sequence[fx.Node]:
    """Return the nodes on whose elements a node's result depends."""
    if node.target in _FILLED:
        return []
    if node.target in _SHAPED_AS:
        return [source for source in node.args[:1] if isinstance(source, fx.Node)]
    return node.all_input_nodes


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
        is_free = n.op != "placeholder" and self.known.keys() >= set(sources_of(n))
        has_tensor = any(isinstance(leaf, Tensor) for leaf in pytree.tree_leaves(result))
        if not has_tensor or (is_free and not is_drawn):
            self.known[n] = result
        return result
