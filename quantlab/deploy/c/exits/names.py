"""What the headers of a model with exits are called: `conv1`, `fc1`, and of heads `fc1_ee`."""

from collections import Counter
from collections.abc import Iterable

from quantlab.integer.operations import Convolution, Linear, Operation

_KINDS = {Convolution: "conv", Linear: "fc"}


def header_names(operations: Iterable[tuple[Operation, bool]]) -> list[str]:
    """Return a name for each operation: its kind, its number among those of its kind, and `_ee` for
    one of a head, which are counted apart. operations: each with whether it is one of a head."""
    counts: Counter[tuple[str, bool]] = Counter()
    names = []
    for operation, is_head in operations:
        kind = _KINDS.get(type(operation), type(operation).__name__.lower())
        counts[kind, is_head] += 1
        names.append(f"{kind}{counts[kind, is_head]}{'_ee' if is_head else ''}")
    return names
