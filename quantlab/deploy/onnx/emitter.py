"""The emitters of a family of operations."""

from collections.abc import Callable, Mapping
from typing import Any

from quantlab.integer.operations import Operation

# By the kind of operation: a function of the operation and the dialect's writer.
Emitters = Mapping[type[Operation], Callable[[Any, Any], None]]
