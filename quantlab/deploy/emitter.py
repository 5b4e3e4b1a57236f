"""The emitters of a dialect, by families of operations."""

from collections.abc import Callable, Mapping
from functools import singledispatch
from typing import Any

from quantlab.errors import UsageError
from quantlab.integer.operations import Operation

# By the kind of operation: a function of the operation and the dialect's writer.
Emitters = Mapping[type[Operation], Callable[[Any, Any], None]]


def joined(dialect: str, *families: Emitters) -> Any:
    """Return `emit(operation, writer)`, by `singledispatch`: it appends the nodes of an operation.

    It raises UsageError, with the layer, for an operation that no family has.
    """

    @singledispatch
    def emit(operation: Operation, writer: Any) -> None:
        raise UsageError(
            f"{type(operation).__name__} '{operation.output}' "
            f"({operation.layer or 'no layer'}): {dialect} has no nodes for it"
        )

    for family in families:
        for kind, emitter in family.items():
            emit.register(kind, emitter)
    return emit
