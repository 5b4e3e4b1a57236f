"""Bits for each layer: what they cost, and which to choose under a budget of bytes."""

from quantlab.algorithms.allocation.allocate import (
    Allocation,
    Option,
    allocate,
    options_of,
    packed_bytes,
    to_rules,
)
from quantlab.algorithms.allocation.sensitivity import Sensitivity, SensitivityRow, sensitivity

__all__ = [
    "Allocation",
    "Option",
    "Sensitivity",
    "SensitivityRow",
    "allocate",
    "options_of",
    "packed_bytes",
    "sensitivity",
    "to_rules",
]
