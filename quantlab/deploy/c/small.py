"""Layers in as little code as can be: see `runtime/small.h`.

The structure of a layer has its sizes in bytes, and says what is made of its sums: bytes, pooled or
with another tensor added, or integers of 32 bits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.kernels.choice import factors_of
from quantlab.deploy.c.kernels.kernel import Factors, Stored
from quantlab.deploy.c.made import keep_pooled, unplaced
from quantlab.deploy.c.placed import channels_last
from quantlab.deploy.c.products import factors_in, only_forward, over_of, sizes_in
from quantlab.deploy.c.small_rules import Rule, rule_of
from quantlab.deploy.c.small_weights import LITTLE, PLACES, stored
from quantlab.deploy.c.writer import Argument, Pointer, Writer
from quantlab.integer.groups import Group, Made
from quantlab.integer.operations import Convolution, Linear
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S8, U8, TensorType

_MOST_BYTE = np.iinfo(np.uint8).max
_MOST = np.iinfo(np.uint16).max
_WIDE = ("channels", "outputs", "num_places")  # of 16 bits


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """A layer that can be made so. made: of its sums; None where these are the result. sizes:
    fields of `ql_small`."""

    group: Group
    factors: Factors
    made: Made | None
    rule: Rule
    sizes: Mapping[str, int]


def plan(group: Group, writer: Writer) -> Plan | None:
    """Return how a layer is made; None where its encoding is another one, or it cannot be."""
    layer = group.operation
    assert isinstance(layer, Convolution | Linear)
    if writer.encodings[layer.output] not in LITTLE or writer.power is not None:
        return None
    made = group.made[0] if group.made else None
    factors = factors_of(layer, writer.program)
    if not _is_plain(factors) or not is_single(group, writer.program):
        return None
    sizes = _sizes(factors, made)
    rule = rule_of(layer.bias, made, writer.program)
    if rule is None or any(
        size > (_MOST if name in _WIDE else _MOST_BYTE) for name, size in sizes.items()
    ):
        return None
    return Plan(group=group, factors=factors, made=made, rule=rule, sizes=sizes)


def small(planned: Plan, writer: Writer) -> None:
    """Append the call of a layer."""
    group, layer = planned.group, planned.group.operation
    assert isinstance(layer, Convolution | Linear)
    factors, x = factors_in(layer, writer)
    form = writer.encodings[layer.output]
    weights = stored(factors.weight.reshape(len(layer.bias), -1), form)
    function = f"{form}_{factors.kind}"
    writer.weights[layer.output] = Stored(encoding=form, weights=weights, function=function)
    writer.runtime |= {function, "small_find"}
    fields = {
        "weights": writer.constants("weights", weights),
        **planned.sizes,
        "padding": _padding(factors) & _MOST_BYTE,
    }
    found, other, to = defined(group, planned.rule, layer.bias, fields, writer)
    scratch = _scratch(planned, writer)
    over = over_of(group, x, [(other, to)], writer, PLACES, is_by_pool=True)
    arguments = (f"&{found}", Pointer(x.buffer), other, to, scratch)
    writer.call(f"ql_{function}", *arguments, over=only_forward(over), is_directed=False)
    keep_pooled(group, writer)


def defined(
    group: Group,
    rule: Rule,
    bias: NDArray[np.int32],
    fields: Mapping[str, Any],
    writer: Writer,
) -> tuple[str, Argument, Pointer]:
    """Define a structure and the tensor that is made; return its name, where what is added lies,
    and where the tensor does."""
    sums = group.operation.output
    made = group.made[0] if group.made else None
    shape = writer.program.types[sums].shape
    is_row = isinstance(group.operation, Linear)
    order = tuple(range(len(shape))) if is_row else channels_last(shape)
    writer.runtime.add(rule.function)
    left_out = writer.traced_constants("bias", bias) if bias.any() else "NULL"
    result, named = sums, sums
    other: Argument = None
    if made is not None:
        result, named = made.result, made.operation.output
        for name in {sums, named} - {result}:
            writer.kept[name] = unplaced(writer, name, order)
        if made.other is not None:
            other = Pointer(writer.ordered(made.other, order).buffer)
    numbers = f".tensor = {writer.numbers[sums]}, .made = {writer.numbers[named]}"
    before = f"#ifdef QL_TRACE\n    {numbers}, .left_out = {left_out},\n#endif\n"
    constants = writer.constants("constants", rule.constants)
    whole = {"put": f"ql_{rule.function}", "constants": constants, **rule.fields, **fields}
    found = writer.structure("ql_small", "layer", whole, before)
    return found, other, Pointer(writer.new(result, order).buffer, is_written=True)


def _is_plain(factors: Factors) -> bool:
    """Return whether a layer has bytes as inputs, one group, no gaps, and one code as padding."""
    return (
        factors.kind in (U8, S8)
        and factors.groups == 1
        and factors.windows.dilation == (1, 1)
        and (not factors.has_padding_codes or len(set(_padding_codes(factors))) == 1)
    )


def is_single(group: Group, program: Program) -> bool:
    """Return whether one tensor is made of the sums, or they are it, and each of them counts."""
    if not group.made:
        return True
    (made, *others) = group.made
    if group.is_read or others or made.source is not None:
        return False
    if made.pooling is None:
        return True
    windows, shape = made.pooling.windows, program.types[made.operation.output].shape
    is_whole = all(size % step == 0 for size, step in zip(shape[1:], windows.stride, strict=True))
    return windows.kernel == windows.stride and is_whole and made.other is None


def _sizes(factors: Factors, made: Made | None) -> dict[str, int]:
    given = sizes_in(factors.layer, factors.program.types[factors.layer.inputs[0]].shape)
    pool_rows, pool_columns = (1, 1)
    if made is not None and made.pooling is not None:
        pool_rows, pool_columns = made.pooling.windows.kernel
    names = ("rows", "columns", "channels", "kernel_rows", "kernel_columns", "stride_rows")
    return {
        **{name: given[name] for name in (*names, "stride_columns", "top", "left")},
        "outputs": len(factors.weight),
        "num_places": given["result_rows"] * given["result_columns"],
        "result_columns": given["result_columns"] // pool_columns,
        "pool_rows": pool_rows,
        "pool_columns": pool_columns,
    }


def _scratch(planned: Plan, writer: Writer) -> Argument:
    """Return where windows are copied, NULL where each is the place that it makes, and there is one
    or a multiple of those that are made at once."""
    factors, num_places = planned.factors, planned.sizes["num_places"]
    windows = factors.windows
    is_place = windows.kernel == windows.stride == (1, 1) and not windows.is_padded
    is_pooled = planned.sizes["pool_rows"] * planned.sizes["pool_columns"] > 1
    if is_place and not is_pooled and (num_places == 1 or num_places % PLACES == 0):
        return None
    kind = TensorType((PLACES, prod(factors.window.shape)), factors.kind)
    return Pointer(writer.temporary(kind, (0, 1)).buffer, is_written=True)


def _padding_codes(factors: Factors) -> list[int]:
    layer = factors.layer
    assert isinstance(layer, Convolution)
    codes: list[int] = layer.padding_codes.reshape(-1).tolist()
    return codes


def _padding(factors: Factors) -> int:
    return _padding_codes(factors)[0] if factors.has_padding_codes else 0
