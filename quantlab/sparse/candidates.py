"""What may stand in a dense layer's place: the table that `swap` measures.

A new kind of layer is a line here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from torch import nn

from quantlab.graphs.replace import DenseLayer
from quantlab.sparse.bfloat16 import to_bfloat16
from quantlab.sparse.pruning import HALF, INT8, to_sparse


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """make: returns the layer that computes the same, or raises UsageError if there is none of its
    kind; leaves the given one as it is. is_int8: whether it needs `quantize=True`."""

    make: Callable[[DenseLayer], nn.Module]
    is_int8: bool = False


def _itself(layer: DenseLayer) -> nn.Module:
    return layer


DENSE = "dense"  # the layer as it is: what others are compared with

# Without a type in the name: in that of the layer's weight, float32 or float64.
CANDIDATES: Mapping[str, Candidate] = {
    DENSE: Candidate(make=_itself),
    "dense_bf16": Candidate(make=to_bfloat16),
    "sparse": Candidate(make=to_sparse),
    "sparse_fp16": Candidate(make=partial(to_sparse, layers=HALF)),
    "sparse_int8": Candidate(make=partial(to_sparse, layers=INT8), is_int8=True),
}
