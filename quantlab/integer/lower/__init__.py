"""From trained networks to integer programs."""

from quantlab.integer.lower.input_spec import InputSpec
from quantlab.integer.lower.limits import Limits
from quantlab.integer.lower.lower import lower
from quantlab.integer.lower.obstacles import obstacles

__all__ = ["InputSpec", "Limits", "lower", "obstacles"]
