"""Lowering: from a trained network to an integer program.

The network's layers are followed in its graph. What they make of integers is kept as long as
possible as `scale * integers + offset` (see `value`): batch norms, biases and scales cost nothing,
and are rounded once, where a quantizer asks for codes. Sums of two values have 32 bits. Where the
network has no quantizer but the program needs integers of few bits, as before an average or a
product, 16 bits are taken, for the range that the value has on samples.
"""

import warnings
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray
from torch import Tensor, fx, nn

from quantlab.errors import UsageError, check_kind
from quantlab.graphs.check_overwrites import check_overwrites
from quantlab.graphs.functions import BY_TARGET
from quantlab.graphs.inputs import as_input
from quantlab.graphs.modularize import is_always_on, module_for
from quantlab.graphs.operations import Add, Concat, Multiply, Stack, Subtract
from quantlab.graphs.paths import function_name, module_of
from quantlab.graphs.shapes import evaluating, propagate_shapes
from quantlab.graphs.slots import applied
from quantlab.graphs.weights import TRANSPOSED
from quantlab.integer.lower.batches import check_batches
from quantlab.integer.lower.builder import Builder
from quantlab.integer.lower.elementwise import (
    OF_TWO,
    lower_add,
    lower_subtract,
    lower_with_constant,
)
from quantlab.integer.lower.endings import LAST, is_ending, left_out, name_of
from quantlab.integer.lower.finite import check_finite
from quantlab.integer.lower.gating import lower_multiply
from quantlab.integer.lower.handlers import COMMUTING, LAYERS, handler_of, is_passing
from quantlab.integer.lower.input_spec import INPUT, InputSpec
from quantlab.integer.lower.known import Known, known_values
from quantlab.integer.lower.limits import Limits
from quantlab.integer.lower.lowering import Lowering, refuse
from quantlab.integer.lower.maxima import is_maximum, lower_maxima
from quantlab.integer.lower.memory import kept
from quantlab.integer.lower.ranges import observe_ranges
from quantlab.integer.lower.rearranging import FUNCTIONS, lower_concat, lower_function
from quantlab.integer.lower.remedies import refused_setting, without_operation
from quantlab.integer.lower.results import is_gathered, nodes_read, results_of
from quantlab.integer.lower.traced import check_inputs, traced
from quantlab.integer.lower.value import Value, codes_of
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import U8, TensorType
from quantlab.quantizer import Quantizer


def lower(
    network: nn.Module,
    spec: InputSpec,
    samples: Tensor | NDArray[Any] | None = None,
    *,
    threshold_levels: int = 4,
    memory_bits: int = 32,
    sum_bits: int = 64,
) -> Program:
    """Return the integer program of a network in its present state, as it evaluates.

    network: with quantizers on the weights of all layers, or the graph of one.
    spec: the raw input: its shape, and what its integers stand for.
    samples: `[N, *spec.shape]`, real numbers as the network takes them, in any type, a tensor or a
        NumPy array; needed where it has values without a quantizer.
    threshold_levels: grids of at most so many levels are reached by exact thresholds.
    memory_bits: of tensors that outlive the layer that makes them, 8, 16 or 32.
    sum_bits: of the sums of each Requantize and Add, before they are shifted, 32 or 64.

    Raises UsageError, with the layer and the line of code, for what cannot be lowered.
    """
    check_kind("network", network, nn.Module, "a torch.nn.Module")
    check_kind("spec", spec, InputSpec, "an InputSpec")
    limits = Limits(threshold_levels=threshold_levels, memory_bits=memory_bits, sum_bits=sum_bits)
    with evaluating(network):
        samples = None if samples is None else _real(as_input(samples, network, "samples"))
        example = spec.example(samples)
        if samples is not None:
            check_finite(samples, "samples")
        for parameter in network.parameters():
            example = example.to(parameter)  # its type and device
            break
        gm = network if isinstance(network, fx.GraphModule) else traced(network, example)
        check_inputs(gm)
        check_overwrites(gm)
        propagate_shapes(gm, example)
        known = known_values(gm, example)
        check_batches(gm, example, known)
        ranges = observe_ranges(gm, samples) if samples is not None else {}
        return _Lowerer(gm, spec, ranges, known, limits).lower()


def _real(samples: Tensor) -> Tensor:
    """Return samples. Raises UsageError for integers, which are likely to be raw."""
    if not samples.is_floating_point():
        raise UsageError(
            f"samples: {str(samples.dtype).removeprefix('torch.')} given, real numbers as the "
            "network takes them allowed; of raw ones (integer - zero_point) * scale"
        )
    return samples


class _Lowerer:
    def __init__(
        self,
        gm: fx.GraphModule,
        spec: InputSpec,
        ranges: dict[str, tuple[float, float]],
        known: Known,
        limits: Limits,
    ) -> None:
        self._spec = spec
        inputs = {INPUT: TensorType(spec.shape, U8)}
        builder = Builder(inputs, limits)
        self._inputs = inputs
        self._results = results_of(gm, known)
        self._left_out: dict[fx.Node, str] = {}
        self._state = Lowering(
            gm=gm,
            builder=builder,
            ranges=ranges,
            known=known,
            commutes=self._commutes,
            is_commuting=_is_commuting,
        )

    def lower(self) -> Program:
        state, names = self._state, {node: name or "scores" for name, node in self._results}
        outputs: dict[fx.Node, str] = {}
        read = nodes_read(state.gm.graph)
        for node in state.gm.graph.nodes:
            if node.op != "placeholder" and node not in read:
                continue
            if node.op == "placeholder" and not node.args:
                state.values[node] = codes_of(INPUT, self._spec.grid, self._spec.shape, node.name)
            elif not is_gathered(node) and node not in state.known and node.op != "placeholder":
                value = self._value(node)
                state.values[node] = kept(state, node, value) if isinstance(value, Value) else value
            self._read(state.values.get(node))
            if node in names:
                outputs[node] = self._output(node, names[node])
        quantizers = {path: state.builder.made(name) for path, name in state.quantizers.items()}
        return Program(
            inputs=self._inputs,
            operations=tuple(state.builder.operations),
            outputs=tuple(outputs[node] for _, node in self._results),
            reals=state.builder.readings,
            rounded=state.builder.rounded,
            quantizers=quantizers,
            encodings=self._spec.encodings,
            endings=self._endings(),
        )

    def _output(self, node: fx.Node, name: str) -> str:
        """Return the tensor of a result."""
        value, builder = self._state.values[node], self._state.builder
        if not isinstance(value, Value):
            refuse(node, "several tensors as one result; each by itself allowed")
        tensor = builder.scores(value, name).terms[0].tensor
        builder.need(tensor)
        return tensor

    def _endings(self) -> tuple[str, ...]:
        """Return what is left out behind each output; nothing if nothing is."""
        endings = tuple(self._ending(node) for _, node in self._results)
        return endings if any(endings) else ()

    def _ending(self, node: fx.Node) -> str:
        module = module_of(self._state.gm, node)
        while node not in self._left_out and module is not None and is_passing(module):
            node = self._state.source(node)
            module = module_of(self._state.gm, node)
        return self._left_out.get(node, "")

    def _value(self, node: fx.Node) -> Value | tuple[Value, ...]:
        state = self._state
        args, kwargs = self._arguments(node)
        if node.op == "call_module":
            module = state.module(node)
            inputs = (*args, *kwargs.values())
            if isinstance(module, TRANSPOSED):  # without `output_size`, which the shape tells
                inputs = tuple(x for x in inputs if _is_tensor(x))
            return self._quantized(node, self._of_module(node, module, inputs))
        line = BY_TARGET.get(node.target)
        found = None
        if line is not None and not is_always_on(line, args, kwargs):
            found = module_for(line, args, kwargs, _is_tensor)
        if found is not None:
            return self._of_module(node, *found)
        if node.target in FUNCTIONS:
            return lower_function(state, node, args, kwargs)
        if is_maximum(node):
            return lower_maxima(state, node, args, kwargs)
        return refuse(node, without_operation(function_name(node)))

    def _arguments(self, node: fx.Node) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return a node's arguments: values for tensors that depend on the input, all else as it
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

    def _of_module(
        self, node: fx.Node, module: nn.Module, inputs: Sequence[Any]
    ) -> Value | tuple[Value, ...]:
        """Return what a module makes of values, and tensors that depend on no input."""
        state, path = self._state, str(node.target)
        if isinstance(module, OF_TWO) and any(isinstance(x, Tensor) for x in inputs):
            left, right = inputs
            return lower_with_constant(state, node, module, left, right)
        if isinstance(module, Concat | Stack):
            return lower_concat(state, node, module, inputs)
        values = [value for value in inputs if isinstance(value, Value)]
        if not values or len(values) != len(inputs):
            if handler_of(module) is None and not isinstance(module, OF_TWO):
                refuse(node, without_operation(module))
            refuse(node, f"{type(module).__name__} of a constant, or of several, has no operation")
        if isinstance(module, Quantizer):
            return state.quantized(values[0], module, path)
        if isinstance(module, Add):
            return lower_add(state, node, *values)
        if isinstance(module, Subtract):
            return lower_subtract(state, node, *values)
        if isinstance(module, Multiply):
            return lower_multiply(state, node, *values)
        if is_passing(module):
            return values[0]
        if isinstance(module, LAST) and is_ending(state.gm, node, module):
            warnings.warn(f"{path}: {left_out(module)}", stacklevel=5)
            self._left_out[node] = name_of(module)
            return values[0]
        handler = handler_of(module)
        if handler is None:
            return refuse(node, without_operation(module))
        setting = refused_setting(module)
        if setting is not None:
            refuse(node, setting)
        return handler(state, node, module, values[0])

    def _quantized(
        self, node: fx.Node, value: Value | tuple[Value, ...]
    ) -> Value | tuple[Value, ...]:
        """Return what a layer without weights makes as its output quantizer has it, if it has
        one."""
        layer = self._state.module(node)
        quantizer = applied(layer).get("output_quantizer")
        if quantizer is None or isinstance(layer, LAYERS) or not isinstance(value, Value):
            return value
        return self._state.quantized(value, quantizer, f"{node.target}.output_quantizer")

    def _read(self, value: Value | tuple[Value, ...] | None) -> None:
        """Note what codes stand for; what is still to be rescaled has factors of its own there."""
        for part in value if isinstance(value, tuple) else (value,):
            if part is not None and (part.grid or (part.is_uniform and not part.is_clamped)):
                self._state.builder.read(part)

    def _commutes(self, node: fx.Node) -> bool:
        if node.op != "call_module":
            return node.target in FUNCTIONS or is_maximum(node)
        module = self._state.module(node)
        return _is_commuting(module) and not applied(module)


def _is_commuting(module: nn.Module) -> bool:
    return isinstance(module, COMMUTING) or is_passing(module)


def _is_tensor(argument: Any) -> bool:
    return isinstance(argument, Value | Tensor)
