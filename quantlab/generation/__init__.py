"""Weights that are generated from small bases of few bits (multi-level generation, MLG).

J. Gu et al., Towards memory-efficient neural networks via multi-level in situ generation, ICCV
2021, arXiv:2108.11430.
"""

from quantlab.generation.check_optimizer import check_optimizer
from quantlab.generation.convert import convert
from quantlab.generation.generate import generate
from quantlab.generation.layers import MLGConv2d, MLGLinear
from quantlab.generation.orthonormality import orthonormality
from quantlab.generation.regularizer import orthonormality_of
from quantlab.generation.spec import MLGSpec
from quantlab.generation.storage_report import StorageReport, storage_report
from quantlab.generation.use_mode import use_mode

__all__ = [
    "MLGConv2d",
    "MLGLinear",
    "MLGSpec",
    "StorageReport",
    "check_optimizer",
    "convert",
    "generate",
    "orthonormality",
    "orthonormality_of",
    "storage_report",
    "use_mode",
]
