"""Which calls a group of operations becomes."""

from quantlab.deploy.c.pools import max_pool, sum_pool
from quantlab.deploy.c.products import product
from quantlab.deploy.c.small import plan, small
from quantlab.deploy.c.small_sums import plan_sums, small_sums
from quantlab.deploy.c.walks import EMITTERS, multiply
from quantlab.deploy.c.writer import Writer
from quantlab.deploy.emitter import joined
from quantlab.integer.groups import Group
from quantlab.integer.operations import (
    AdaptiveSumPool,
    Convolution,
    Linear,
    MaxPool,
    Multiply,
    SumPool,
)

_emit = joined("C", {MaxPool: max_pool}, EMITTERS)


def emit(group: Group, writer: Writer) -> None:
    """Append the calls of a group. Raises UsageError, with the layer, for what C has not."""
    writer.begin(group)
    match group.operation:
        case Convolution() | Linear():
            planned = plan(group, writer)
            if planned is None:
                product(group, writer)
            else:
                small(planned, writer)
        case AdaptiveSumPool() | SumPool():
            sums = plan_sums(group, writer)
            if sums is None:
                sum_pool(group, writer)
            else:
                small_sums(sums, writer)
        case Multiply():
            multiply(group, writer)
        case operation:
            _emit(operation, writer)
