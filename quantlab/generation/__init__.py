"""Weights that are generated from small bases of few bits (multi-level generation, MLG).

J. Gu et al., Towards memory-efficient neural networks via multi-level in situ generation, ICCV
2021, arXiv:2108.11430.
"""

from quantlab.generation.generate import generate
from quantlab.generation.orthonormality import orthonormality
from quantlab.generation.spec import MLGSpec

__all__ = ["MLGSpec", "generate", "orthonormality"]
