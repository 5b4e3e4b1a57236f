"""The fast engine: integer programs on compiled kernels."""

from quantlab.integer.fast.engine import FastEngine

__all__ = ["FastEngine"]
