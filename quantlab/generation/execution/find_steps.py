"""Find the steps of a traced network; see `steps`."""

import math
from collections.abc import Mapping
from dataclasses import replace

from torch import fx, nn

from quantlab.algorithms.layers import QuantizedConv2d, QuantizedLinear
from quantlab.generation.execution.folded import fold_convolution, fold_linear, fold_norm
from quantlab.generation.execution.steps import (
    UNBOUNDED,
    Add,
    Bounds,
    Concat,
    Convolve,
    Pool,
    PoolKind,
    Step,
)
from quantlab.generation.layers import MLGConv2d, MLGLinear
from quantlab.graphs import operations
from quantlab.graphs.fold_batch_norm import factor_and_offset
from quantlab.graphs.paths import module_of
from quantlab.graphs.replace import has_hooks
from quantlab.graphs.shapes import shape_of
from quantlab.graphs.values import makes_value
from quantlab.quantizer import Quantizer

_LAYERS = ("algorithms.layers", "generation.layers", "graphs.operations", "quantizer")
_CONVOLUTIONS = (nn.Conv2d.forward, QuantizedConv2d.forward, MLGConv2d.forward)
_LINEARS = (nn.Linear.forward, QuantizedLinear.forward, MLGLinear.forward)
_KNOWN = ("torch.nn.", *(f"quantlab.{name}" for name in _LAYERS))
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
_PASSING = (nn.Identity, nn.Dropout, nn.Dropout2d)
_PIXELS = {(2, 3), (-2, -1), (3, 2), (-1, -2)}

Made = Mapping[fx.Node, Step]


def find_steps(gm: fx.GraphModule) -> list[Step]:
    """Return the steps of a graph, in the order of their outputs.

    gm: traced with an example, whose quantizers of inputs and outputs are nodes. It stays as it is.
    """
    made: dict[fx.Node, Step] = {}  # by each node that a step stands for
    for node in gm.graph.find_nodes(op="call_module"):
        module = module_of(gm, node)
        assert module is not None
        if not _is_known(module):
            continue
        step = _joined(node, module, made) or _begun(gm, node, module)
        if step is not None:
            step.nodes.append(node)
            made[node] = step
    place = {node: number for number, node in enumerate(gm.graph.nodes)}
    return sorted(dict.fromkeys(made.values()), key=lambda step: place[step.nodes[-1]])


def _joined(node: fx.Node, module: nn.Module, made: Made) -> Step | None:
    """Return the step whose last node becomes this one, None if there is none."""
    if isinstance(module, operations.Add):
        left, right = node.args
        return _with_residual(right, left, made) or _with_residual(left, right, made)
    step = _ending_in(node.args[0], made) if len(node.args) == 1 else None
    if _passes(module):
        return step
    if isinstance(step, Convolve | Add) and step.bounds == UNBOUNDED:
        bounds = _bounds(module)
        step.bounds = bounds or UNBOUNDED
        if bounds is not None:
            return step
    is_foldable = isinstance(step, Convolve) and step.residual is None and step.bounds == UNBOUNDED
    if is_foldable and isinstance(module, _NORMS) and _is_fixed(module):
        assert isinstance(step, Convolve)
        step.layer = step.layer.behind(*factor_and_offset(module))
        return step
    return None


def _with_residual(one: object, other: object, made: Made) -> Step | None:
    """Return the convolution that ends in `one` with `other` added, None if there is none."""
    step = _ending_in(one, made)
    if not isinstance(step, Convolve) or not isinstance(other, fx.Node) or one is other:
        return None
    if step.residual is not None or step.bounds != UNBOUNDED or _shape(one) != _shape(other):
        return None
    step.residual = other
    return step


def _begun(gm: fx.GraphModule, node: fx.Node, module: nn.Module) -> Step | None:
    """Return a new step that begins with a node, None if it is none."""
    if isinstance(module, operations.Add | operations.Concat):
        return _of_several(module, node)
    if not isinstance(source := node.args[0] if node.args else None, fx.Node):
        return None
    name, rank = str(node.target), len(_shape(source))
    if rank in (2, 4) and isinstance(module, _NORMS) and _is_fixed(module):
        norm = fold_norm(name, *factor_and_offset(module))
        return Convolve(layer=norm, input=source, is_norm=True)
    if rank == 4 and type(module).forward in _CONVOLUTIONS and _has_weight(module):
        assert isinstance(module, nn.Conv2d)
        return Convolve(layer=fold_convolution(name, module), input=source)
    if type(module).forward in _LINEARS and _has_weight(module):
        assert isinstance(module, nn.Linear)
        return _linear(gm, name, module, source)
    return _pool(module, source) if rank == 4 else None


def _of_several(module: nn.Module, node: fx.Node) -> Step | None:
    inputs = list(node.args)
    shapes = [_shape(one) for one in inputs]
    nodes = [one for one in inputs if isinstance(one, fx.Node)]
    if len(nodes) != len(inputs) or len(shapes[0]) not in (2, 4):
        return None
    if isinstance(module, operations.Concat):
        is_of_channels = module.dim in (1, 1 - len(shapes[0]))
        return Concat(inputs=nodes) if is_of_channels else None
    return Add(inputs=nodes) if shapes[0] == shapes[1] else None


def _linear(gm: fx.GraphModule, name: str, layer: nn.Linear, source: fx.Node) -> Step | None:
    if len(_shape(source)) != 2 or (isinstance(layer, MLGLinear) and layer.spec.linear_block > 1):
        return None
    absorbed: list[fx.Node] = []
    while len(source.users) == 1 and _rearranges(module_of(gm, source)):
        absorbed.insert(0, source)
        (source,) = source.all_input_nodes
    shape = _shape(source)
    if len(shape) not in (2, 4) or math.prod(shape[1:]) != layer.in_features:
        return None
    pixels = (shape[2], shape[3]) if len(shape) == 4 else (1, 1)
    return Convolve(layer=fold_linear(name, layer, pixels), input=source, nodes=absorbed)


def _pool(module: nn.Module, source: fx.Node) -> Pool | None:
    match module:
        case operations.Mean():
            is_global = module.dims in _PIXELS
        case nn.AdaptiveAvgPool2d():
            is_global = module.output_size in (1, (1, 1))
        case nn.MaxPool2d() if _pair(module.dilation) == (1, 1):
            return _windows("max", module, source)
        case nn.AvgPool2d() if module.divisor_override is None:
            pool = _windows("mean", module, source)
            return pool and replace(pool, counts_padding=module.count_include_pad)
        case _:
            return None
    return Pool(kind="global_mean", input=source) if is_global else None


def _windows(kind: PoolKind, module: nn.MaxPool2d | nn.AvgPool2d, source: fx.Node) -> Pool | None:
    if module.ceil_mode or getattr(module, "return_indices", False):
        return None
    return Pool(
        kind=kind,
        input=source,
        kernel=_pair(module.kernel_size),
        stride=_pair(module.stride),
        padding=_pair(module.padding),
    )


def _is_known(module: nn.Module) -> bool:
    """Return whether a module has a forward pass that is known here, and no hooks but that of a
    quantizer of its output, which is a node."""
    has_quantizer = makes_value(module) and module._modules.get("output_quantizer") is not None
    is_quantized = has_quantizer and len(module._forward_hooks) == 1
    is_plain = not has_hooks(module) or (is_quantized and not module._forward_pre_hooks)
    return is_plain and type(module).forward.__module__.startswith(_KNOWN)


def _passes(module: nn.Module | None) -> bool:
    """Return whether a module gives what it takes, in evaluation."""
    if isinstance(module, Quantizer):
        return not module.is_enabled
    return isinstance(module, _PASSING) and _is_known(module)


def _rearranges(module: nn.Module | None) -> bool:
    return _passes(module) or (isinstance(module, nn.Flatten) and _is_known(module))


def _bounds(module: nn.Module) -> Bounds | None:
    """Return the bounds that an activation is, None if it is another."""
    match module:
        case nn.ReLU():
            return 0.0, math.inf
        case nn.Hardtanh():  # ReLU6 too
            return float(module.min_val), float(module.max_val)
        case operations.Clamp():
            low = -math.inf if module.min is None else float(module.min)
            high = math.inf if module.max is None else float(module.max)
            return min(low, high), high  # torch gives the upper one of bounds that cross
        case _:
            return None


def _ending_in(node: object, made: Made) -> Step | None:
    """Return the step that a node is the output of, if but one other node reads it."""
    step = made.get(node) if isinstance(node, fx.Node) else None
    is_last = step is not None and step.nodes[-1] is node and len(node.users) == 1
    return step if is_last else None


def _is_fixed(norm: nn.Module) -> bool:
    """Return whether a batch norm has statistics of its own, instead of the batch's."""
    return isinstance(norm, _NORMS) and norm.running_mean is not None


def _has_weight(layer: nn.Module) -> bool:
    """Return whether a layer generates its weight or has it as a parameter, none computed by torch
    from others."""
    return isinstance(layer, MLGConv2d | MLGLinear) or layer._parameters.get("weight") is not None


def _pair(size: int | tuple[int, ...]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def _shape(node: object) -> tuple[int, ...]:
    shape = shape_of(node) if isinstance(node, fx.Node) else None
    return () if shape is None else shape
