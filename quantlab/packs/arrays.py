"""Arrays of a program as small numbers: how far back in the order of their first writing they are.

The inputs are there first. An operation that writes a new array has 0 for it, else how many arrays
came since; what it reads is counted back from there. So operations of the same kind look alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from quantlab.packs.plain import OPERATIONS

_PLACES: Mapping[str, tuple[int, tuple[int, ...]]] = {  # of the output and of inputs
    cls.__name__: (
        [field.name for field in fields(cls)].index("output"),
        tuple(p for p, field in enumerate(fields(cls)) if field.name in ("input", "other")),
    )
    for cls in OPERATIONS
}


def to_numbers(operations: Sequence[Any], inputs: Sequence[str]) -> tuple[list[Any], list[str]]:
    """Return plain operations with numbers for their arrays, and the arrays in their order."""
    order = [*inputs]
    found = []
    for plain in operations:
        ((kind, values),) = plain.items()
        place, read = _PLACES[kind]
        values, output = [*values], values[place]
        is_new = output not in order
        values[place] = 0 if is_new else len(order) - order.index(output)
        for one in read:
            if values[one] is not None:
                values[one] = len(order) - order.index(values[one])
        if is_new:
            order.append(output)
        found.append({kind: values})
    return found, order


def to_names(operations: Sequence[Any], inputs: Sequence[str]) -> tuple[list[Any], list[str]]:
    """Return plain operations with names for their arrays, and the names in their order. Raises
    KeyError, TypeError or ValueError for what `to_numbers` does not give."""
    order = [*inputs]
    found = []
    for plain in operations:
        ((kind, values),) = plain.items()
        place, read = _PLACES[kind]
        values, since = [*values], values[place]
        for one in read:
            if values[one] is not None:
                values[one] = _named(order, values[one])
        values[place] = str(len(order)) if since == 0 else _named(order, since)
        if since == 0:
            order.append(values[place])
        found.append({kind: values})
    return found, order


def _named(order: Sequence[str], since: Any) -> str:
    if type(since) is not int or not 1 <= since <= len(order):
        raise ValueError(f"array {since} of {len(order)}")
    return order[len(order) - since]
