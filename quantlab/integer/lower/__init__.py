"""From trained networks to integer programs."""

from quantlab.integer.lower.input_spec import InputSpec
from quantlab.integer.lower.lower import lower

__all__ = ["InputSpec", "lower"]
