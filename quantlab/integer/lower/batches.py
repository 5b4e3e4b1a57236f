"""Whether a network treats each sample of a batch by itself, as a program does."""

from typing import Any

import torch
from torch import Tensor, fx

from quantlab.graphs.shapes import propagate_shapes
from quantlab.integer.lower.known import Known
from quantlab.integer.lower.lowering import refuse


def check_batches(gm: fx.GraphModule, example: Tensor, known: Known) -> None:
    """Raise UsageError for a node that has as many samples as the example, but not as one of
    another length. The shapes of the graph's nodes are those of the example then."""
    propagate_shapes(gm, torch.cat([example, example[:1]]))
    longer = {node: _lengths(node.meta["shape"]) for node in gm.graph.nodes}
    propagate_shapes(gm, example)
    count = len(example)
    for node in gm.graph.nodes:
        lengths = zip(_lengths(node.meta["shape"]), longer[node], strict=False)
        if node not in known and any(a == count != b - 1 for a, b in lengths):
            refuse(node, f"{count} samples of any batch; all allowed")


def _lengths(shape: Any) -> list[int]:
    """Return the first axis of a tensor's shape, or of several."""
    if not isinstance(shape, tuple):
        return []
    if shape and isinstance(shape[0], int):
        return [shape[0]]
    return [length for part in shape for length in _lengths(part)]
