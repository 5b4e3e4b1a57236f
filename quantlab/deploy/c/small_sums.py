"""Sums over whole images in little code, and what is made of them: `runtime/small_sums.inc`."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.small import defined, is_single
from quantlab.deploy.c.small_rules import Rule, rule_of
from quantlab.deploy.c.small_weights import LITTLE
from quantlab.deploy.c.writer import Pointer, Writer
from quantlab.integer.groups import Group
from quantlab.integer.operations import AdaptiveSumPool, SumPool
from quantlab.integer.tensor_type import S8, U8

_MOST_BYTE = np.iinfo(np.uint8).max
_MOST = np.iinfo(np.uint16).max


@dataclass(frozen=True, kw_only=True, eq=False)
class SumsPlan:
    """Sums that can be made so. bias: zeros."""

    group: Group
    rule: Rule
    bias: NDArray[np.int32]


def plan_sums(group: Group, writer: Writer) -> SumsPlan | None:
    """Return how sums are made; None where they cannot be, or no layer has little code."""
    operation, program = group.operation, writer.program
    assert isinstance(operation, AdaptiveSumPool | SumPool)
    if writer.power is not None or not set(LITTLE) & set(writer.encodings.values()):
        return None
    given = program.types[operation.inputs[0]]
    channels, *size = given.shape
    is_whole = program.types[operation.output].shape[1:] == (1, 1)
    if isinstance(operation, SumPool):
        windows = operation.windows
        is_whole = windows.kernel == tuple(size) and not windows.is_padded
    is_small = max(size) <= _MOST_BYTE and channels <= _MOST
    if given.kind not in (U8, S8) or not (is_whole and is_small and is_single(group, program)):
        return None
    bias = np.zeros(channels, np.int32)
    rule = rule_of(bias, group.made[0] if group.made else None, program)
    return None if rule is None else SumsPlan(group=group, rule=rule, bias=bias)


def small_sums(planned: SumsPlan, writer: Writer) -> None:
    """Append the call of a pooling."""
    operation = planned.group.operation
    x = writer.ordered(operation.inputs[0])
    channels, rows, columns = x.kind.shape
    function = f"small_sums_{x.kind.kind}"
    writer.runtime.add(function)
    fields = {"rows": rows, "columns": columns, "outputs": channels}
    found, other, to = defined(planned.group, planned.rule, planned.bias, fields, writer)
    writer.call(f"ql_{function}", f"&{found}", Pointer(x.buffer), other, to, None)
