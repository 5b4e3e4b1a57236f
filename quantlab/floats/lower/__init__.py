"""From a network of floats to a float program."""

from quantlab.floats.lower.lower import lower

__all__ = ["lower"]
