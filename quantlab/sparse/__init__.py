"""Layers with the kept weights of a pruned network only, fast to train on the CPU."""

from quantlab.sparse.block import SparseBlock
from quantlab.sparse.convolution import SparseConv2d
from quantlab.sparse.half import HalfSparseConv2d, HalfSparseLinear
from quantlab.sparse.layer import SparseLayer
from quantlab.sparse.linear import SparseLinear
from quantlab.sparse.pattern import Pattern
from quantlab.sparse.pruning import apply_masks, global_magnitude, sparsify, uniform_magnitude
from quantlab.sparse.quantized import QuantizedSparseConv2d, QuantizedSparseLinear
from quantlab.sparse.swap import swap_layers, swap_modules_with_sparse
from quantlab.sparse.swap_report import LayerSwap, SwapReport
from quantlab.sparse.zeros import hold_zeros, release_zeros

__all__ = [
    "HalfSparseConv2d",
    "HalfSparseLinear",
    "LayerSwap",
    "Pattern",
    "QuantizedSparseConv2d",
    "QuantizedSparseLinear",
    "SparseBlock",
    "SparseConv2d",
    "SparseLayer",
    "SparseLinear",
    "SwapReport",
    "apply_masks",
    "global_magnitude",
    "hold_zeros",
    "release_zeros",
    "sparsify",
    "swap_layers",
    "swap_modules_with_sparse",
    "uniform_magnitude",
]
