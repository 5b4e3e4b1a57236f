"""Sums of products, and products of two tensors."""

from quantlab.deploy.clickhouse.wasm.codes import codes_of
from quantlab.deploy.clickhouse.wasm.expressions import I32, load
from quantlab.deploy.clickhouse.wasm.kernels import Operand, write_sums
from quantlab.deploy.clickhouse.wasm.operands import lay_out
from quantlab.deploy.clickhouse.wasm.padding import padded
from quantlab.deploy.clickhouse.wasm.places import SLACK
from quantlab.deploy.clickhouse.wasm.plan import Plan
from quantlab.deploy.clickhouse.wasm.second_sums import write_second_sums
from quantlab.deploy.clickhouse.wasm.walks import load_integer, store_integer, walk
from quantlab.deploy.clickhouse.wasm.writer import Writer, broadcast_place
from quantlab.deploy.emitter import Emitters
from quantlab.integer.operations import Convolution, Linear, Multiply, Threshold
from quantlab.integer.tensor_type import S8, S32


def product(operation: Convolution | Linear, writer: Writer) -> None:
    plan = writer.plans.get(operation.output)
    if plan is not None:
        _planned(plan, operation, writer)
    elif isinstance(operation, Convolution):
        _convolution(operation, writer)
    else:
        _linear(operation, writer)


def _planned(plan: Plan, operation: Convolution | Linear, writer: Writer) -> None:
    given, output = writer.places[plan.source], writer.output(operation)
    scratch = writer.scratch[operation.output]
    x = lay_out(writer, plan, given, scratch)
    shared = None
    if plan.shared:
        shared = scratch + plan.operand_bytes + SLACK
        write_second_sums(writer, plan, x, shared)
    group, codes, is_asked = writer.group, None, None
    if group is not None and group.made:
        (made,) = group.made
        assert isinstance(made.operation, Threshold)
        place, bound = writer.places[made.result], writer.program.bounds[operation.output]
        codes = codes_of(made.operation, plan, bound, place)
        if not group.is_read:
            is_asked = writer.body.parameter(I32, 0).equals(writer.number(operation.output))
    operand = Operand(x=x, y=output.address, shared=shared, codes=codes, is_asked=is_asked)
    write_sums(writer, plan, operand)


def _convolution(operation: Convolution, writer: Writer) -> None:
    (given,), output, body = writer.inputs(operation), writer.output(operation), writer.body
    scratch = writer.scratch[operation.output]
    x = padded(writer, given, operation.windows, operation.padding_codes, scratch)
    across, down, channel = x.strides[2], x.strides[1], x.strides[0]
    num_outputs, per_group, height, width = operation.weight.shape
    groups, windows = operation.groups, operation.windows
    weight = writer.constants.address(operation.weight.transpose(0, 2, 3, 1))
    bias = writer.constants.address(operation.bias)
    _, rows, columns = output.tensor.shape
    sizes = [rows, columns, groups, num_outputs // groups]
    own = num_outputs // groups
    of_y = [columns * num_outputs * 4, num_outputs * 4, own * 4, 4]
    of_x = [down * windows.stride[0], across * windows.stride[1], per_group * channel, 0]
    a_window = per_group * height * width
    with (
        walk(body, sizes, of_y, of_x, [0, 0, own * 4, 4], [0, 0, own * a_window, a_window])
        as (y_at, x_at, bias_at, weight_at)
    ):  # fmt: skip
        total = body.new(load(I32, "i32.load", bias_at, bias))
        inner = [down * windows.dilation[0], across * windows.dilation[1], channel]
        steps = [width * per_group, per_group, 1]
        with walk(body, [height, width, per_group], inner, steps) as (x_in, weight_in):
            one = load_integer(x.tensor.kind, x_at + x_in, x.address)
            other = load_integer(S8, weight_at + weight_in, weight)
            body.set(total, total + one * other)
        store_integer(body, S32, y_at, total, output.address)


def _linear(operation: Linear, writer: Writer) -> None:
    (x,), output, body = writer.inputs(operation), writer.output(operation), writer.body
    weight = writer.constants.address(operation.weight)
    bias = writer.constants.address(operation.bias)
    num_inputs = operation.weight.shape[1]
    none = [0] * (len(x.strides) - 1)
    with (
        writer.elements(output, [*x.strides[:-1], 0], [*none, num_inputs], [*none, 4])
        as (y_at, x_at, weight_at, bias_at)
    ):  # fmt: skip
        total = body.new(load(I32, "i32.load", bias_at, bias))
        with walk(body, [num_inputs], [x.strides[-1]], [1]) as (x_in, weight_in):
            one = load_integer(x.tensor.kind, x_at + x_in, x.address)
            other = load_integer(S8, weight_at + weight_in, weight)
            body.set(total, total + one * other)
        store_integer(body, S32, y_at, total, output.address)


def multiply(operation: Multiply, writer: Writer) -> None:
    left, right = writer.inputs(operation)
    output = writer.output(operation)
    strides = [broadcast_place(one) for one in (left, right)]
    with writer.elements(output, *strides) as (y_at, left_at, right_at):
        one = load_integer(left.tensor.kind, left_at, left.address) - operation.left_zero
        other = load_integer(right.tensor.kind, right_at, right.address) - operation.right_zero
        store_integer(writer.body, S32, y_at, one * other, output.address)


EMITTERS: Emitters = {
    Convolution: product,
    Linear: product,
    Multiply: multiply,
}
