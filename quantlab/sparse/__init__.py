"""Layers with the kept weights of a pruned network only, fast to train on the CPU."""

from quantlab.sparse.block import SparseBlock
from quantlab.sparse.convolution import SparseConv2d
from quantlab.sparse.layer import SparseLayer
from quantlab.sparse.linear import SparseLinear
from quantlab.sparse.pattern import Pattern
from quantlab.sparse.pruning import apply_masks, global_magnitude, sparsify, uniform_magnitude

__all__ = [
    "Pattern",
    "SparseBlock",
    "SparseConv2d",
    "SparseLayer",
    "SparseLinear",
    "apply_masks",
    "global_magnitude",
    "sparsify",
    "uniform_magnitude",
]
