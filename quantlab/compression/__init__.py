"""Compression of trained networks to a budget of bytes."""

from quantlab.compression.budget import Budget
from quantlab.compression.compress import Compressed, compress
from quantlab.compression.compress_nn_models import compress_NN_models
from quantlab.compression.compressed_size import CompressedSize
from quantlab.compression.recipe import Recipe
from quantlab.compression.samples import Data
from quantlab.compression.unreachable import UnreachableError

__all__ = [
    "Budget",
    "Compressed",
    "CompressedSize",
    "Data",
    "Recipe",
    "UnreachableError",
    "compress",
    "compress_NN_models",
]
