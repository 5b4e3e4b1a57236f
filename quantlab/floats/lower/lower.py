"""Lowering: from a network of floats to a float program.

Batch norms are folded into the layers before them in float64; then each constant is rounded to 32
bits, once. An activation that alone reads a layer's sums, and a pooling without overlap, become
part of the layer. An operation that only moves elements moves nothing in memory: it is another view
of the same array, which is copied where an operation needs the elements in order.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from quantlab.errors import UsageError, check_kind
from quantlab.floats.functions import Function
from quantlab.floats.layout import View, places_of
from quantlab.floats.lower import elementwise, functional, layers, moving, pooling
from quantlab.floats.lower.refusals import without_form
from quantlab.floats.lower.state import State, Values
from quantlab.floats.operations import Elementwise, Operation, Product
from quantlab.floats.program import FloatProgram, FloatTensor, Result
from quantlab.graphs import operations
from quantlab.graphs.check_overwrites import check_overwrites
from quantlab.graphs.functions import BY_TARGET
from quantlab.graphs.inputs import as_input
from quantlab.graphs.leaves import has_own_forward
from quantlab.graphs.modularize import is_always_on, module_for
from quantlab.graphs.paths import function_name
from quantlab.graphs.replace import has_hooks
from quantlab.graphs.shapes import evaluating, propagate_shapes
from quantlab.graphs.weights import check_not_generated
from quantlab.integer.lower.batches import check_batches
from quantlab.integer.lower.finite import check_finite
from quantlab.integer.lower.handlers import is_passing
from quantlab.integer.lower.known import known_values
from quantlab.integer.lower.lowering import refuse
from quantlab.integer.lower.maxima import WITH_PLACES, is_maximum
from quantlab.integer.lower.traced import check_inputs, traced
from quantlab.quantizer import Quantizer

INPUT = "input"  # its name in programs
_LARGEST = float(np.finfo(np.float32).max)
Handler = Callable[[State, fx.Node, nn.Module, View], View]
HANDLERS: Sequence[tuple[tuple[type[nn.Module], ...], Handler]] = (
    (layers.LAYERS, layers.lower_layer),
    (layers.BATCH_NORMS, layers.lower_batch_norm),
    ((nn.PReLU,), elementwise.lower_prelu),
    (
        (*elementwise.WITH_NUMBER, operations.SubtractFromConstant, operations.Negative),
        elementwise.lower_with_number,
    ),
    (pooling.MAXIMA, pooling.lower_max_pool),
    (pooling.AVERAGES, pooling.lower_average),
    (pooling.ADAPTIVE, pooling.lower_adaptive),
    ((operations.Mean, operations.Sum), pooling.lower_reduction),
    (pooling.SOFTMAX, pooling.lower_softmax),
    ((operations.Pad, *moving.PADS), moving.lower_pad),
    (moving.MOVING, moving.lower_moving),
)


def lower(network: nn.Module, example: Tensor | NDArray[Any]) -> FloatProgram:
    """Return the float program of a network in its present state, as it evaluates.

    network: without quantizers, or the graph of one.
    example: a batch `[N, ...]` of one sample or more, of which the shape counts.

    Raises UsageError, with the layer and the line of code, for what has no form.
    """
    check_kind("network", network, nn.Module, "a torch.nn.Module")
    _refuse_quantizers(network)
    with evaluating(network):
        batch = as_input(example, network, "example")
        check_finite(batch, "example")
        batch = batch[[0, 0]]
        gm = network if isinstance(network, fx.GraphModule) else traced(network, batch)
        check_inputs(gm)
        check_overwrites(gm)
        propagate_shapes(gm, batch)
        known = known_values(gm, batch)
        check_batches(gm, batch, known)
        return _Lowerer(State(gm=gm, known=known), tuple(batch.shape[1:])).lower()


def _refuse_quantizers(network: nn.Module) -> None:
    for path, module in network.named_modules():
        if isinstance(module, layers.LAYERS):
            check_not_generated(module, path)
        if isinstance(module, Quantizer):
            raise UsageError(
                f"layer '{path}': a quantizer given, a network of floats allowed; s8 and s16 take "
                "quantized ones"
            )


class _Lowerer:
    def __init__(self, state: State, shape: tuple[int, ...]) -> None:
        self._state, self._shape = state, shape

    def lower(self) -> FloatProgram:
        state = self._state
        results: dict[str, Result] = {}
        for node in state.gm.graph.nodes:
            if node.op == "placeholder" and not node.args:
                state.sizes[INPUT] = int(np.prod(self._shape))
                state.values[node] = View(INPUT, places_of(self._shape))
                state.makers[INPUT] = node
            elif node.op == "output":
                results = self._results(node)
            elif node not in state.known and node.op != "placeholder":
                state.values[node] = self._value(node)
        return FloatProgram(
            inputs={INPUT: FloatTensor(self._shape)},
            operations=[_rounded(operation) for operation in state.operations],
            results=results,
            sizes={name: size for name, size in state.sizes.items() if name != INPUT},
        )

    def _results(self, node: fx.Node) -> dict[str, Result]:
        state = self._state
        found = {}
        for name, source in _named(node.args[0]).items():
            if name == INPUT:
                raise UsageError(f"output '{name}': the name of the input; another name needed")
            value = state.values.get(source) if isinstance(source, fx.Node) else None
            if not isinstance(value, View):
                raise UsageError(
                    f"output '{name}': a tensor that depends on the input allowed; a network gives "
                    "one, or a list or dict of such"
                )
            array = state.whole(source, value, places_of(value.shape))
            found[name] = Result(array=array, tensor=FloatTensor(value.shape))
        return found

    def _value(self, node: fx.Node) -> Values:
        state = self._state
        args, kwargs = self._arguments(node)
        if node.op == "call_module":
            return self._of_module(node, state.module(node), args)
        line = BY_TARGET.get(node.target)
        if line is not None and not is_always_on(line, args, kwargs):
            found = module_for(line, args, kwargs, _is_tensor)
            if found is not None:
                return self._of_module(node, *found)
        if node.target in moving.FUNCTIONS:
            return moving.lower_function(state, node, args, kwargs)
        if node.target in functional.LAYERS:
            return self._of_layer(node, args, kwargs)
        if node.target in functional.OF_ONE or node.target in functional.OF_TWO:
            return self._of_function(node, args)
        if is_maximum(node):
            return self._largest(node, args, kwargs)
        return refuse(node, without_form(function_name(node)))

    def _of_layer(self, node: fx.Node, args: Sequence[Any], kwargs: Mapping[str, Any]) -> View:
        """Return what a layer makes whose weights are arguments, which depend on no input."""
        named = dict(kwargs)
        x, *rest = args or (named.pop("input"),)
        if not isinstance(x, View) or any(
            isinstance(one, View) for one in (*rest, *named.values())
        ):
            refuse(node, "of weights that depend on the input; weights of the network allowed")
        return self._of_module(node, functional.LAYERS[node.target](*rest, **named), [x])

    def _of_function(self, node: fx.Node, args: Sequence[Any]) -> View:
        x, *others = args
        if not isinstance(x, View) or not all(isinstance(one, View) for one in others):
            refuse(node, "of a constant, or of several; tensors that depend on the input allowed")
        name = {**functional.OF_ONE, **functional.OF_TWO}[node.target]
        return self._state.elementwise(node, Function(name), x, *others)

    def _largest(self, node: fx.Node, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Values:
        x = args[0] if args else kwargs["input"]
        dim = args[1] if len(args) > 1 else kwargs.get("dim", kwargs.get("axis"))
        axes = pooling.axes_of(node, [dim] if isinstance(dim, int) else dim, len(x.shape))
        largest = pooling.reduced(self._state, node, x, axes, None)
        return (largest,) if node.target in WITH_PLACES else largest

    def _arguments(self, node: fx.Node) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return a node's arguments: views for tensors that depend on the input, all else as it
        is."""
        state = self._state

        def of(argument: Any) -> Any:
            if isinstance(argument, fx.Node):
                return state.known[argument] if argument in state.known else state.values[argument]
            if isinstance(argument, tuple | list):
                return type(argument)(of(part) for part in argument)
            if isinstance(argument, slice):
                return slice(of(argument.start), of(argument.stop), of(argument.step))
            return argument

        return tuple(of(x) for x in node.args), {k: of(x) for k, x in node.kwargs.items()}

    def _of_module(self, node: fx.Node, module: nn.Module, inputs: Sequence[Any]) -> View:
        state = self._state
        if has_own_forward(module):
            name = type(module).__name__
            return refuse(node, f"{name} with a forward pass of its own has no form here")
        is_quantized = "output_quantizer" in module._modules  # by one hook
        if has_hooks(module) and (not is_quantized or len(module._forward_hooks) > 1):
            return refuse(node, f"{type(module).__name__} with a hook has no form here")
        if isinstance(module, operations.Concat | operations.Stack):
            return moving.lower_concat(state, node, module, inputs)
        if type(module) in elementwise.OF_TWO:
            return elementwise.lower_two(state, node, module, inputs)
        if len(inputs) != 1 or not isinstance(inputs[0], View):
            return refuse(node, without_form(module))
        x = inputs[0]
        if is_passing(module):
            return x
        function = elementwise.function_of(module)
        if function is not None:
            return state.elementwise(node, function, x)
        for types, handler in HANDLERS:
            if isinstance(module, types):
                return handler(state, node, module, x)
        return refuse(node, without_form(module))


def _named(result: Any) -> dict[str, Any]:
    """Return what a network gives, by name."""
    if isinstance(result, dict):
        return {str(name): part for name, part in result.items()}
    if isinstance(result, list | tuple):
        return {f"output_{place}": part for place, part in enumerate(result)}
    return {"output": result}


def _is_tensor(argument: Any) -> bool:
    return isinstance(argument, View | Tensor)


def _rounded(operation: Operation) -> Operation:
    """Return an operation with its constants in 32 bits. Raises UsageError for what they lack."""
    match operation:
        case Product():
            bias = operation.bias
            return replace(
                operation,
                weight=_floats(operation.weight, f"{operation.layer}.weight"),
                bias=None if bias is None else _floats(bias, f"{operation.layer}.bias"),
            )
        case Elementwise() if operation.constant is not None:
            name = f"a constant of '{operation.layer}'"
            return replace(operation, constant=_floats(operation.constant, name))
    return operation


def _floats(values: NDArray[Any], name: str) -> NDArray[np.float32]:
    if np.abs(values).max(initial=0) > _LARGEST:
        raise UsageError(
            f"{name}: {np.abs(values).max():.4g} given, at most {_LARGEST:.4g} allowed, the "
            "largest float of 32 bits"
        )
    return np.ascontiguousarray(values, np.float32)
