"""What each node of a graph does with channels."""

from enum import Enum, auto

from torch import fx, nn

from quantlab.algorithms.layers import carries
from quantlab.graphs import operations
from quantlab.graphs.leaves import SLOTS
from quantlab.graphs.paths import module_of
from quantlab.graphs.replace import has_hooks
from quantlab.graphs.shapes import shape_of
from quantlab.graphs.slots import applied
from quantlab.graphs.weights import LAYERS, TRANSPOSED
from quantlab.quantizer import Quantizer

Layer = nn.Conv1d | nn.Conv2d | nn.Linear | nn.ConvTranspose1d | nn.ConvTranspose2d  # with weights


class Kind(Enum):
    """What a node is.

    LAYER: each output channel is made of input channels by weights.
    POINTWISE: each element is made of the one at its place. CHANNELWISE: each channel, along axis
    1, of the one at its index. JOIN: several tensors, element by element. CONCAT: one after the
    other. REDUCTION: the axes are fewer. RESHAPE: the same elements, of other axes. SOURCE: there
    from the beginning. NUMBER: a size, no tensor. UNKNOWN: anything else.
    """

    LAYER = auto()
    POINTWISE = auto()
    CHANNELWISE = auto()
    JOIN = auto()
    CONCAT = auto()
    REDUCTION = auto()
    RESHAPE = auto()
    SOURCE = auto()
    NUMBER = auto()
    OUTPUT = auto()
    UNKNOWN = auto()


# fmt: off
_POINTWISE = (
    nn.Identity, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU,
    nn.Mish, nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.Sigmoid, nn.Tanh, nn.LogSigmoid,
    nn.Softplus, nn.Softsign, nn.Softshrink, nn.Hardshrink, nn.Tanhshrink, nn.Threshold,
    nn.Dropout, nn.AlphaDropout,
    operations.AddConstant, operations.SubtractFromConstant, operations.MultiplyConstant,
    operations.DivideByConstant, operations.Negative, operations.Clamp,
)
_CHANNELWISE = (
    nn.BatchNorm1d, nn.BatchNorm2d, nn.PReLU, nn.Dropout1d, nn.Dropout2d, nn.FeatureAlphaDropout,
    nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d, nn.AdaptiveAvgPool1d,
    nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.Upsample,
    nn.ZeroPad1d, nn.ZeroPad2d, nn.ConstantPad1d, nn.ConstantPad2d, nn.ReflectionPad1d,
    nn.ReflectionPad2d, nn.ReplicationPad1d, nn.ReplicationPad2d, operations.Pad,
)
_JOINS = (operations.Add, operations.Subtract, operations.Multiply, operations.Divide)
_RESHAPES = ("view", "reshape", "squeeze", "unsqueeze", "contiguous", "getitem")
# fmt: on


def kind_of(gm: fx.GraphModule, node: fx.Node, numbers: set[fx.Node]) -> Kind:
    """Return what a node is. numbers: the nodes that are sizes (`number_nodes`)."""
    if node in numbers:
        return Kind.NUMBER
    if node.op in ("placeholder", "get_attr"):
        return Kind.SOURCE
    if node.op == "output":
        return Kind.OUTPUT
    if shape_of(node) is None:
        return Kind.UNKNOWN
    module = module_of(gm, node)
    if module is None:
        name = getattr(node.target, "__name__", node.target)
        return Kind.RESHAPE if name in _RESHAPES else Kind.UNKNOWN
    return _of_module(gm, node, module)


def _of_module(gm: fx.GraphModule, node: fx.Node, module: nn.Module) -> Kind:
    is_alone = len(node.all_input_nodes) == 1 == len(node.args) and not node.kwargs
    if isinstance(module, operations.Concat) and not applied(module):
        return Kind.CONCAT
    if not is_known(module):
        return Kind.UNKNOWN
    if isinstance(module, _JOINS):
        return Kind.JOIN
    if not is_alone or _overwrites(gm, node):
        return Kind.UNKNOWN
    match module:
        case Quantizer():
            return Kind.POINTWISE
        case _ if isinstance(module, LAYERS + TRANSPOSED):
            return Kind.LAYER
        case operations.Mean() | operations.Sum():
            return Kind.REDUCTION
        case nn.Flatten():
            return Kind.RESHAPE
        case nn.PReLU() if module.num_parameters == 1:
            return Kind.POINTWISE
        case _ if isinstance(module, _CHANNELWISE):
            return Kind.CHANNELWISE
        case _ if isinstance(module, _POINTWISE):
            return Kind.POINTWISE
        case _:
            return Kind.UNKNOWN


def is_known(module: nn.Module) -> bool:
    """Return whether a module computes what its class in torch.nn does, and nothing else: with
    quantizers of one scale on inputs and outputs, parameters of its own, no hooks."""
    edges = {slot: q for slot, q in applied(module).items() if slot != "weight_quantizer"}
    if any(q.scale.numel() > 1 for q in edges.values()):
        return False
    if isinstance(module, Quantizer):
        return module.scale.numel() == 1 and not has_hooks(module)
    if isinstance(module, LAYERS + TRANSPOSED):
        is_usual = _is_usual(module, LAYERS + TRANSPOSED)
        carries_all = all(slot in module._modules for slot in SLOTS)
        has_own = isinstance(module._parameters.get("weight"), nn.Parameter)
        return (is_usual or carries_all) and has_own and not has_hooks(module)
    types = (*_POINTWISE, *_CHANNELWISE, *_JOINS, nn.Flatten, operations.Mean, operations.Sum)
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.running_mean is None:
        return False
    num_hooks = len(module._forward_hooks) + len(module._forward_pre_hooks)
    is_quantized = set(carries(module)) == {"output"} and num_hooks == 1
    return _is_usual(module, types) and (is_quantized or not has_hooks(module))


def _is_usual(module: nn.Module, types: tuple[type[nn.Module], ...]) -> bool:
    """Return whether a module's forward pass is that of one of the types."""
    return any(type(module).forward is cls.forward for cls in types if isinstance(module, cls))


def _overwrites(gm: fx.GraphModule, node: fx.Node) -> bool:
    """Return whether a module overwrites a tensor that something else may read too, by whatever
    name."""
    if getattr(module_of(gm, node), "inplace", False) is not True:
        return False
    (source,) = node.all_input_nodes
    while len(source.users) == 1 and len(source.all_input_nodes) == 1 and _may_alias(gm, source):
        (source,) = source.all_input_nodes
    return len(source.users) > 1


def _may_alias(gm: fx.GraphModule, node: fx.Node) -> bool:
    module = module_of(gm, node)
    return module is None or isinstance(module, (*_POINTWISE, nn.Flatten, Quantizer))
