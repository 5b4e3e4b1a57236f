"""Compression of trained networks to a budget of bytes."""

from quantlab.compression.budget import Budget
from quantlab.compression.compress import Compressed, compress
from quantlab.compression.recipe import Recipe
from quantlab.compression.samples import Data
from quantlab.compression.unreachable import UnreachableError

__all__ = ["Budget", "Compressed", "Data", "Recipe", "UnreachableError", "compress"]
