"""Batch norms, activations, additions, and what constants do."""

from typing import Any

import numpy as np
from torch import Tensor, fx, nn

from quantlab.errors import UsageError
from quantlab.graphs.operations import (
    Add,
    AddConstant,
    Clamp,
    Divide,
    DivideByConstant,
    Multiply,
    MultiplyConstant,
    Negative,
    Subtract,
    SubtractFromConstant,
)
from quantlab.graphs.paths import origin
from quantlab.integer.lower.constants import of_one_sample
from quantlab.integer.lower.finite import finite
from quantlab.integer.lower.grid import Reals
from quantlab.integer.lower.lowering import Lowering, refuse
from quantlab.integer.lower.moves import Moves
from quantlab.integer.lower.value import Value

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
CLAMPS = (nn.ReLU, nn.ReLU6, nn.Hardtanh, Clamp)
LEAKY = (nn.PReLU, nn.LeakyReLU, nn.RReLU)
WITH_NUMBER = (AddConstant, SubtractFromConstant, MultiplyConstant, DivideByConstant, Negative)
OF_TWO = (Add, Subtract, Multiply, Divide)


def lower_batch_norm(lowering: Lowering, node: fx.Node, layer: nn.Module, x: Value) -> Value:
    """Return the value times a factor for each channel, plus an offset: no operation yet."""
    assert isinstance(layer, BATCH_NORMS)
    if layer.running_mean is None or layer.running_var is None:
        raise UsageError(
            f"layer '{node.target}': batch norm without running statistics, which an "
            "integer program cannot do"
        )
    if x.is_clamped:
        x = lowering.sum(x, next(iter(node.all_input_nodes)))
    path = origin(node)
    mean = finite(layer.running_mean, f"{path}.running_mean")
    variance = finite(layer.running_var, f"{path}.running_var")
    weight, bias = np.ones_like(mean), np.zeros_like(mean)
    if layer.affine:
        weight, bias = (finite(layer.get_parameter(n), f"{path}.{n}") for n in ("weight", "bias"))
    factor = weight / np.sqrt(variance + layer.eps)
    axes = (-1,) + (1,) * (len(x.shape) - 1)
    offset = bias - mean * factor
    return x.affine(factor.reshape(axes), offset.reshape(axes), origin(node))


def lower_clamp(lowering: Lowering, node: fx.Node, layer: nn.Module, x: Value) -> Value:
    """Return the value between the activation's ends: no operation yet."""
    low, high = 0.0, np.inf
    if isinstance(layer, nn.Hardtanh):  # ReLU6 is one
        low, high = float(layer.min_val), float(layer.max_val)
    elif isinstance(layer, Clamp):
        low = -np.inf if layer.min is None else float(layer.min)
        high = np.inf if layer.max is None else float(layer.max)
    return x.clamped(min(low, high), high, origin(node))


def lower_leaky(lowering: Lowering, node: fx.Node, layer: nn.Module, x: Value) -> Value:
    """Return the sum of what is above zero and, times its factor, what is below."""
    path = origin(node)
    if isinstance(layer, nn.PReLU):
        factor = finite(layer.weight, f"{path}.weight").reshape(-1, *[1] * (len(x.shape) - 1))
    elif isinstance(layer, nn.RReLU):
        factor = np.array((layer.lower + layer.upper) / 2)  # as it evaluates
    else:
        assert isinstance(layer, nn.LeakyReLU)
        factor = np.array(float(layer.negative_slope))
    source = lowering.source(node)
    if lowering.is_costly(x):
        x = lowering.codes(x, source)
    above = lowering.sum(x.clamped(0.0, np.inf, path), source)
    below = lowering.sum(x.clamped(-np.inf, 0.0, path), source)
    return _sum(lowering, node, above, below.affine(factor, np.array(0.0), path))


def lower_with_number(lowering: Lowering, node: fx.Node, layer: nn.Module, x: Value) -> Value:
    """Return the value with a number added, times one, or what both are together."""
    factor, offset = 1.0, 0.0
    if isinstance(layer, AddConstant):
        offset = float(layer.value)
    elif isinstance(layer, SubtractFromConstant):
        factor, offset = -1.0, float(layer.value)
    elif isinstance(layer, MultiplyConstant):
        factor = float(layer.value)
    elif isinstance(layer, DivideByConstant):
        factor = 1.0 / layer.value if layer.value else np.inf
    elif isinstance(layer, Negative):
        factor = -1.0
    return _affine(lowering, node, x, np.array(factor), np.array(offset))


def lower_with_constant(
    lowering: Lowering, node: fx.Node, layer: nn.Module, left: Any, right: Any
) -> Value:
    """Return the value with a tensor that does not depend on the input: added, subtracted,
    multiplied, divided by."""
    is_left = isinstance(right, Tensor)
    x, constant = (left, right) if is_left else (right, left)
    assert isinstance(x, Value)
    reals = of_one_sample(node, finite(constant, _name_of_constant(node)), len(x.shape))
    one, zero = np.array(1.0), np.array(0.0)
    if isinstance(layer, Add):
        return _affine(lowering, node, x, one, reals)
    if isinstance(layer, Subtract):
        sign = 1.0 if is_left else -1.0
        return _affine(lowering, node, x, sign * one, -sign * reals)
    if isinstance(layer, Divide):
        if not is_left:
            refuse(node, "divided by what depends on the input; division by a constant allowed")
        with np.errstate(divide="ignore"):
            reals = 1.0 / reals
    return _affine(lowering, node, x, reals, zero)


def lower_add(lowering: Lowering, node: fx.Node, left: Value, right: Value) -> Value:
    """Return the sum of two values in 32 bits; neither is rounded to fewer before.

    A sum of one sum and another may go on so for many layers: in 16 bits their errors would add up
    to other codes, in networks of few levels to other classes. Where memory is narrow, the sum is
    rounded when what comes behind it asks for codes.
    """
    first, last = _sources(node)
    return _sum(
        lowering, node, _unclamped(lowering, left, first), _unclamped(lowering, right, last)
    )


def lower_subtract(lowering: Lowering, node: fx.Node, left: Value, right: Value) -> Value:
    """Return the difference of two values, as `lower_add` does the sum."""
    first, last = _sources(node)
    taken = _unclamped(lowering, right, last)
    negative = taken.affine(np.array(-1.0), np.array(0.0), taken.node)
    return _sum(lowering, node, _unclamped(lowering, left, first), negative)


def _sources(node: fx.Node) -> tuple[fx.Node, fx.Node]:
    sources = node.all_input_nodes
    return sources[0], sources[-1]


def _unclamped(lowering: Lowering, x: Value, source: fx.Node) -> Value:
    """Return the value behind a node as one tensor that is not to be clamped any more."""
    return lowering.sum(x, source) if x.is_clamped or len(x.terms) > 1 else x


def _sum(lowering: Lowering, node: fx.Node, left: Value, right: Value) -> Value:
    total = Value(
        terms=(*left.terms, *right.terms),
        offset=left.offset + right.offset,
        shape=lowering.shape(node),
        node=origin(node),
    )
    return total if lowering.builder.limits.has_narrow_memory else lowering.sum(total, node)


def _affine(lowering: Lowering, node: fx.Node, x: Value, factor: Reals, offset: Reals) -> Value:
    """Return factor * the value + offset: no operation yet, unless the value grows by it."""
    _check_finite(node, factor, offset)
    if x.is_clamped:
        x = lowering.sum(x, lowering.source(node))
    shape = lowering.shape(node)
    if shape != x.shape:
        x = Moves(lowering, node, x).grow(shape).value
    with np.errstate(over="ignore", invalid="ignore"):
        y = x.affine(factor, offset, origin(node))
    _check_finite(node, y.offset, *(term.scale for term in y.terms))
    return y


def _check_finite(node: fx.Node, *arrays: Reals) -> None:
    if not all(np.isfinite(array).all() for array in arrays):
        refuse(node, "a number that is not finite, or a division by zero; finite ones allowed")


def _name_of_constant(node: fx.Node) -> str:
    names = [str(n.target) for n in node.all_input_nodes if n.op == "get_attr"]
    return names[0] if names else f"a constant of '{node.name}'"
