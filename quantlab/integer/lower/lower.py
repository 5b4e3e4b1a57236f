"""Lowering: from a trained network to an integer program.

The network's layers are followed in its graph. What they make of integers is kept as long as
possible as `scale * integers + offset` (see `value`): batch norms, biases and scales cost nothing,
and are rounded once, where a quantizer asks for codes. Sums of two values have 32 bits. Where the
network has no quantizer but the program needs integers of few bits, as before an average or a
product, 16 bits are taken, for the range that the value has on samples.
"""

from collections.abc import Callable

from torch import Tensor, fx, nn

from quantlab.errors import UsageError
from quantlab.graphs.operations import Add, Concat, Mean, Multiply
from quantlab.graphs.paths import function_name
from quantlab.graphs.shapes import evaluating, propagate_shapes
from quantlab.graphs.slots import applied
from quantlab.graphs.trace import trace
from quantlab.integer.lower.builder import Builder
from quantlab.integer.lower.elementwise import (
    BATCH_NORMS,
    CLAMPS,
    lower_add,
    lower_batch_norm,
    lower_clamp,
)
from quantlab.integer.lower.gating import TABULATED, lower_function_of_one, lower_multiply
from quantlab.integer.lower.grid import wide_grid
from quantlab.integer.lower.input_spec import INPUT, InputSpec
from quantlab.integer.lower.layers import lower_layer
from quantlab.integer.lower.lowering import Lowering, refuse
from quantlab.integer.lower.pooling import AVERAGES, lower_average, lower_max_pool, lower_mean
from quantlab.integer.lower.ranges import observe_ranges
from quantlab.integer.lower.rearranging import (
    FUNCTIONS,
    REARRANGING,
    lower_concat,
    lower_function,
    lower_reshape,
)
from quantlab.integer.lower.value import Value, codes_of
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import U8, TensorType
from quantlab.quantizer import Quantizer

Handler = Callable[[Lowering, fx.Node, nn.Module, Value], Value]
_PASSING = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout)
# Of packages that need not be there.
_PASSING_NAMES = frozenset({"torchvision.ops.stochastic_depth.StochasticDepth"})
_HANDLERS: tuple[tuple[tuple[type[nn.Module], ...], Handler], ...] = (
    ((nn.Conv2d, nn.Linear), lower_layer),
    (BATCH_NORMS, lower_batch_norm),
    (CLAMPS, lower_clamp),
    ((nn.MaxPool2d,), lower_max_pool),
    (AVERAGES, lower_average),
    ((Mean,), lower_mean),
    (TABULATED, lower_function_of_one),
    (REARRANGING, lower_reshape),
)
# Quantizing before these gives the same codes as after them.
_COMMUTING = (*_PASSING, *CLAMPS, nn.MaxPool2d, *REARRANGING)


def lower(
    network: nn.Module,
    spec: InputSpec,
    samples: Tensor | None = None,
    *,
    threshold_levels: int = 4,
) -> Program:
    """Return the integer program of a network in its present state, as it evaluates.

    network: with quantizers on the weights of all layers, or the graph of one.
    spec: the raw input: its shape, and what its integers stand for.
    samples: `[N, *spec.shape]`, real numbers as the network takes them; needed where it has values
        without a quantizer.
    threshold_levels: grids of at most so many levels are reached by exact thresholds.

    Raises UsageError, with the layer and the line of code, for what cannot be lowered.
    """
    with evaluating(network):
        example = spec.example(samples)
        for parameter in network.parameters():
            example = example.to(parameter)  # its type and device
            break
        if isinstance(network, fx.GraphModule):
            gm = network
            propagate_shapes(gm, example)
        else:
            gm = trace(network, example)
        ranges = observe_ranges(gm, samples) if samples is not None else {}
        return _Lowerer(gm, spec, ranges, threshold_levels).lower()


class _Lowerer:
    def __init__(
        self,
        gm: fx.GraphModule,
        spec: InputSpec,
        ranges: dict[str, tuple[float, float]],
        threshold_levels: int,
    ) -> None:
        self._spec = spec
        inputs = {INPUT: TensorType(spec.shape, U8)}
        builder = Builder(inputs, threshold_levels=threshold_levels)
        self._inputs = inputs
        self._state = Lowering(gm=gm, builder=builder, ranges=ranges, commutes=self._commutes)

    def lower(self) -> Program:
        state = self._state
        output: Value | None = None
        for node in state.gm.graph.nodes:
            if node.op == "placeholder":
                if state.values:
                    raise UsageError(f"lower: a second input '{node.name}' given, one allowed")
                state.values[node] = codes_of(INPUT, self._spec.grid, self._spec.shape, node.name)
            elif node.op == "output":
                (result,) = node.args
                if not isinstance(result, fx.Node):
                    raise UsageError("lower: a network with several outputs given, one allowed")
                value = state.values[result]
                assert isinstance(value, Value)
                output = value
            elif _has_tensor(node):
                state.values[node] = self._value(node)
            self._read(state.values.get(node))
        assert output is not None
        final = _common_scale(state.builder, output)
        tensor = final.terms[0].tensor
        return Program(
            inputs=self._inputs,
            operations=tuple(state.builder.operations),
            outputs=(tensor,),
            reals=state.builder.reals,
            rounded=state.builder.rounded,
            quantizers=state.quantizers,
            encodings=self._spec.encodings,
        )

    def _value(self, node: fx.Node) -> Value | tuple[Value, ...]:
        state = self._state
        if node.op != "call_module":
            if node.target in FUNCTIONS:
                return lower_function(state, node)
            return refuse(node, f"{function_name(node)} has no integer operation")
        module, path = state.module(node), str(node.target)
        inputs = [state.values[source] for source in node.args if isinstance(source, fx.Node)]
        values = [value for value in inputs if isinstance(value, Value)]
        if isinstance(module, Concat):
            return lower_concat(state, node, module, values)
        if isinstance(module, Quantizer):
            return state.quantized(values[0], module, path)
        if isinstance(module, Add):
            return lower_add(state, node, *values)
        if isinstance(module, Multiply):
            return lower_multiply(state, node, *values)
        if _is_passing(module):
            return values[0]
        for types, handler in _HANDLERS:
            if isinstance(module, types):
                return handler(state, node, module, values[0])
        return refuse(node, f"{type(module).__name__} has no integer operation")

    def _read(self, value: Value | tuple[Value, ...] | None) -> None:
        """Note what codes stand for; what is still to be rescaled has factors of its own there."""
        for part in value if isinstance(value, tuple) else (value,):
            if part is not None and (part.grid or (part.is_uniform and not part.is_clamped)):
                self._state.builder.read(part)

    def _commutes(self, node: fx.Node) -> bool:
        module = self._state.module(node)
        is_commuting = isinstance(module, _COMMUTING) or _is_passing(module)
        return is_commuting and not applied(module)


def _has_tensor(node: fx.Node) -> bool:
    """Return whether a node gives a tensor or several, not a size."""
    shape = node.meta.get("shape")
    return isinstance(shape, tuple) and None not in shape


def _is_passing(module: nn.Module) -> bool:
    """Return whether a module does nothing in evaluation."""
    cls = type(module)
    return isinstance(module, _PASSING) or f"{cls.__module__}.{cls.__name__}" in _PASSING_NAMES


def _common_scale(builder: Builder, value: Value) -> Value:
    """Return the network's output as one tensor with one scale, in 32 bits, so that its numbers can
    be compared with one another; nothing is lost that the accumulators know."""
    if value.is_uniform and not value.is_clamped and builder.read(value):
        return value
    return builder.quantize(value, wide_grid(builder.reach(value).max()), "scores")
