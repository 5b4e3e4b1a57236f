"""Functions of each number, of two tensors, and of a tensor and constants."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor, fx, nn

from quantlab.floats.functions import Function
from quantlab.floats.layout import View
from quantlab.floats.lower.grids import OnGrid
from quantlab.floats.lower.state import State, check_number, layer_of
from quantlab.floats.operations import Reals
from quantlab.graphs import operations
from quantlab.integer.lower.constants import of_one_sample
from quantlab.integer.lower.finite import finite
from quantlab.integer.lower.lowering import refuse

OF_TWO: Mapping[type[nn.Module], str] = {
    operations.Add: "add",
    operations.Subtract: "subtract",
    operations.Multiply: "multiply",
    operations.Divide: "divide",
}
WITH_NUMBER: Mapping[type[nn.Module], str] = {
    operations.AddConstant: "add",
    operations.MultiplyConstant: "multiply",
    operations.DivideByConstant: "divide",
}
_PLAIN: Mapping[type[nn.Module], str] = {
    nn.Hardsigmoid: "hardsigmoid",
    nn.Hardswish: "hardswish",
    nn.Mish: "mish",
    nn.Sigmoid: "sigmoid",
    nn.SiLU: "silu",
    nn.Softsign: "softsign",
    nn.Tanh: "tanh",
}


def function_of(module: nn.Module) -> Function | None:
    """Return the function of one number that a module is, None if it is none or has no form."""
    for kind, name in _PLAIN.items():
        if isinstance(module, kind):
            return Function(name)
    match module:
        case nn.ReLU():
            return Function("at_least", (0.0,))
        case nn.Hardtanh() | operations.Clamp():  # ReLU6 is a Hardtanh
            return _clamp(*_ends(module))
        case nn.LeakyReLU():
            return Function("leaky", (float(module.negative_slope),))
        case nn.RReLU():
            return Function("leaky", ((module.lower + module.upper) / 2,))  # as it evaluates
        case nn.ELU():
            return Function("elu", (float(module.alpha),))
        case nn.Softplus():
            return Function("softplus", (float(module.beta), float(module.threshold)))
        case nn.GELU():
            return Function("gelu" if module.approximate == "none" else "gelu_tanh")
        case OnGrid():
            return Function("on_grid", (module.scale, float(module.low), float(module.high)))
    return None


def _ends(module: nn.Module) -> tuple[float | None, float | None]:
    if isinstance(module, nn.Hardtanh):
        return float(module.min_val), float(module.max_val)
    assert isinstance(module, operations.Clamp)
    low, high = (None if end is None else float(end) for end in (module.min, module.max))
    return low, high


def _clamp(low: float | None, high: float | None) -> Function:
    if low is None or low == -np.inf:
        return Function("copy") if high is None else Function("at_most", (high,))
    if high is None or high == np.inf:
        return Function("at_least", (low,))
    return Function("clamp", (min(low, high), high))


def lower_prelu(state: State, node: fx.Node, layer: nn.Module, x: View) -> View:
    assert isinstance(layer, nn.PReLU)
    slopes = finite(layer.weight, f"{layer_of(node)}.weight")
    if slopes.size == 1:
        return state.elementwise(node, Function("leaky", (float(slopes[0]),)), x)
    axes = (-1,) + (1,) * (len(x.shape) - 1)
    return state.elementwise(node, Function("prelu"), x, slopes.reshape(axes))


def lower_with_number(state: State, node: fx.Node, layer: nn.Module, x: View) -> View:
    """Return what a tensor and a number make."""
    if isinstance(layer, operations.Negative):
        return state.elementwise(node, Function("multiply"), x, np.array(-1.0))
    assert isinstance(layer, operations.WithConstant)
    check_number(node, float(layer.value))
    number = np.array(float(layer.value))
    if isinstance(layer, operations.SubtractFromConstant):
        negative = state.elementwise(node, Function("multiply"), x, np.array(-1.0))
        return state.elementwise(node, Function("add"), negative, number)
    return state.elementwise(node, Function(WITH_NUMBER[type(layer)]), x, number)


def lower_two(state: State, node: fx.Node, layer: nn.Module, inputs: Sequence[Any]) -> View:
    """Return what two tensors make, one of which may depend on no input."""
    left, right = inputs
    name = OF_TWO[type(layer)]
    if isinstance(left, View) and isinstance(right, View):
        return state.elementwise(node, Function(name), left, right)
    if isinstance(left, View):
        return state.elementwise(node, Function(name), left, _constant(node, right, left))
    assert isinstance(right, View)
    constant = _constant(node, left, right)
    if name == "divide":
        refuse(node, "divided by what depends on the input; division by a constant allowed")
    if name == "subtract":
        negative = state.elementwise(node, Function("multiply"), right, np.array(-1.0))
        return state.elementwise(node, Function("add"), negative, constant)
    return state.elementwise(node, Function(name), right, constant)


def _constant(node: fx.Node, tensor: Tensor, like: View) -> Reals:
    names = [str(n.target) for n in node.all_input_nodes if n.op == "get_attr"]
    name = names[0] if names else f"a constant of '{node.name}'"
    return of_one_sample(node, finite(tensor, name), len(like.shape))
