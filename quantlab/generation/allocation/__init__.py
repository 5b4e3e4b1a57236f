"""Allocation: how each layer of a network is generated, within a number of bytes."""

from quantlab.generation.allocation.allocate import Allocation, allocate
from quantlab.generation.allocation.options import Dense, Option
from quantlab.generation.allocation.sensitivity import sensitivity_of

__all__ = ["Allocation", "Dense", "Option", "allocate", "sensitivity_of"]
