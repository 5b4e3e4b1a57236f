"""Which calls a group of operations becomes."""

from quantlab.deploy.c import pools, walks
from quantlab.deploy.c.products import product
from quantlab.deploy.c.writer import Writer
from quantlab.deploy.emitter import joined
from quantlab.integer.groups import Group
from quantlab.integer.operations import Convolution, Linear

_emit = joined("C", pools.EMITTERS, walks.EMITTERS)


def emit(group: Group, writer: Writer) -> None:
    """Append the calls of a group. Raises UsageError, with the layer, for what C has not."""
    writer.begin(group)
    if isinstance(group.operation, Convolution | Linear):
        product(group, writer)
    else:
        _emit(group.operation, writer)
