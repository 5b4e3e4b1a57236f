"""Quantization algorithms, one a file: a pure function with its gradient, a quantizer around it,
its controller and its config. `table` lists them, `rules` applies them."""

from quantlab.algorithms.conductor import Conductor
from quantlab.algorithms.parameter_groups import parameter_groups
from quantlab.algorithms.rate import rate_of
from quantlab.algorithms.rules import QuantizeConfig, QuantRule, quantize
from quantlab.algorithms.table import ALGORITHMS
from quantlab.algorithms.unused import unused_quantizers

__all__ = [
    "ALGORITHMS",
    "Conductor",
    "QuantRule",
    "QuantizeConfig",
    "parameter_groups",
    "quantize",
    "rate_of",
    "unused_quantizers",
]
