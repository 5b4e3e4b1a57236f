"""Batch norms, activations and additions."""

import numpy as np
from torch import fx, nn

from quantlab.errors import UsageError
from quantlab.integer.lower.lowering import Lowering
from quantlab.integer.lower.value import Value

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
CLAMPS = (nn.ReLU, nn.ReLU6, nn.Hardtanh)


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
    mean, variance = (
        tensor.detach().double().cpu().numpy() for tensor in (layer.running_mean, layer.running_var)
    )
    weight, bias = (
        default if tensor is None else tensor.detach().double().cpu().numpy()
        for tensor, default in (
            (layer.weight, np.ones_like(mean)),
            (layer.bias, np.zeros_like(mean)),
        )
    )
    factor = weight / np.sqrt(variance + layer.eps)
    axes = (-1,) + (1,) * (len(x.shape) - 1)
    offset = bias - mean * factor
    return x.affine(factor.reshape(axes), offset.reshape(axes), str(node.target))


def lower_clamp(lowering: Lowering, node: fx.Node, layer: nn.Module, x: Value) -> Value:
    """Return the value between the activation's ends: no operation yet."""
    if isinstance(layer, nn.Hardtanh):  # ReLU6 is one
        return x.clamped(float(layer.min_val), float(layer.max_val), str(node.target))
    return x.clamped(0.0, np.inf, str(node.target))


def lower_add(lowering: Lowering, node: fx.Node, left: Value, right: Value) -> Value:
    """Return the sum of two values in 32 bits; neither is rounded to fewer before.

    A sum of one sum and another may go on so for many layers: in 16 bits their errors would add up
    to other codes, in networks of few levels to other classes.
    """
    sides = [left, right]
    for index, source in enumerate(node.args):
        if sides[index].is_clamped or len(sides[index].terms) > 1:
            assert isinstance(source, fx.Node)
            sides[index] = lowering.sum(sides[index], source)
    left, right = sides
    total = Value(
        terms=(*left.terms, *right.terms),
        offset=left.offset + right.offset,
        shape=lowering.shape(node),
        node=str(node.target),
    )
    return lowering.sum(total, node)
