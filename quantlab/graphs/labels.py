"""What a picture of a graph says about a node: in words."""

from torch import fx, nn

from quantlab.graphs.operations import Operation
from quantlab.graphs.paths import function_name, module_of
from quantlab.graphs.select import LAYER_TYPES
from quantlab.graphs.shapes import shape_of
from quantlab.graphs.slots import applied
from quantlab.quantizer import Quantizer

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
_ADAPTIVE = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d)
_MOST_LETTERS = 60
_ONE_LINE = 32


def title(node: fx.Node) -> str:
    """Return the path of a node's module, an input's name, or else the node's own."""
    has_path = node.op in ("call_module", "get_attr", "placeholder")
    return str(node.target) if has_path else node.name


def details(gm: fx.GraphModule, node: fx.Node) -> list[str]:
    """Return lines about what a node calls: its type and settings, its parameters and bits."""
    module = module_of(gm, node)
    if module is None:
        return _function(node)
    count = num_parameters(module)
    weight = applied(module).get("weight_quantizer")
    lines = [_shortened(f"{type(module).__name__} {_settings(module)}".strip())]
    lines += [f"{count:,} parameter{'s' if count > 1 else ''}"] if count else []
    lines += [f"weight: {grid(weight)}"] if weight is not None else []
    return lines if sum(map(len, lines)) > _ONE_LINE else [", ".join(lines)]


def shape(node: fx.Node) -> str:
    """Return the shape of a node's tensor, `""` if it is not known or there are several."""
    return "x".join(str(size) for size in shape_of(node) or ())


def grid(quantizer: Quantizer) -> str:
    """Return the bits, the sign and the range of a quantizer's grid."""
    words = f"{quantizer.spec.num_bits} bits {'signed' if quantizer.spec.signed else 'unsigned'}"
    if not quantizer.is_enabled:
        return f"{words} (float stage)"
    scale = quantizer.scale.detach().double()
    low = (quantizer.quant_min - quantizer.zero_point) * scale
    high = (quantizer.quant_max - quantizer.zero_point) * scale
    return f"{words} {low.min():.3g}..{high.max():.3g}"


def num_parameters(module: nn.Module) -> int:
    """Return how many numbers a module learns, those of quantizers aside."""
    own = sum(p.numel() for p in module._parameters.values() if p is not None)
    inner = [m for m in module.children() if not isinstance(m, Quantizer)]
    return own + sum(num_parameters(child) for child in inner)


def _function(node: fx.Node) -> list[str]:
    if node.op == "get_attr":
        return [shape(node)] if shape(node) else []
    if node.op in ("placeholder", "output"):
        return []
    constants = [str(x) for x in (*node.args, *node.kwargs.values()) if not isinstance(x, fx.Node)]
    return [_shortened(f"{function_name(node)} {', '.join(constants)}".strip())]


def _settings(module: nn.Module) -> str:
    match module:
        case nn.Conv1d() | nn.Conv2d() | nn.ConvTranspose1d() | nn.ConvTranspose2d():
            return ", ".join(_convolution(module))
        case nn.Linear():
            return f"{module.in_features} to {module.out_features}"
        case nn.BatchNorm1d() | nn.BatchNorm2d():
            return f"{module.num_features}"
        case nn.MaxPool1d() | nn.MaxPool2d() | nn.AvgPool1d() | nn.AvgPool2d():
            return f"{_times(module.kernel_size)}, stride {_times(module.stride)}"
        case nn.Dropout() | nn.Dropout2d():
            return f"{module.p}"
        case nn.Flatten():
            return ""
        case _ if isinstance(module, _ADAPTIVE):
            return f"to {_times(module.output_size)}"
        case nn.ReLU() | nn.ReLU6() | nn.SiLU() | nn.Hardswish() | nn.Hardsigmoid():
            return ""
        case _:
            return module.extra_repr()


def _convolution(
    conv: nn.Conv1d | nn.Conv2d | nn.ConvTranspose1d | nn.ConvTranspose2d,
) -> list[str]:
    words = [_times(conv.kernel_size), f"{conv.in_channels} to {conv.out_channels}"]
    for name, usual in (("stride", 1), ("dilation", 1)):
        if set(getattr(conv, name)) != {usual}:
            words.append(f"{name} {_same(getattr(conv, name))}")
    if conv.groups > 1:
        words.append("depthwise" if conv.groups == conv.in_channels else f"{conv.groups} groups")
    return words


def _times(value: object) -> str:
    """Return `3x3` for (3, 3), and for settings of one number that number."""
    return "x".join(str(v) for v in value) if isinstance(value, tuple) else str(value)


def _same(value: tuple[int, ...]) -> str:
    """Return `2` for (2, 2) and `2x1` for (2, 1)."""
    return str(value[0]) if len(set(value)) == 1 else _times(value)


def _shortened(text: str) -> str:
    return text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 3]}..."


def family(gm: fx.GraphModule, node: fx.Node) -> str:
    """Return which kind of box a node gets."""
    if node.op in ("placeholder", "output"):
        return "end"
    module = module_of(gm, node)
    match module:
        case None:
            return "function"
        case _ if isinstance(module, LAYER_TYPES):
            return "layer"
        case nn.BatchNorm1d() | nn.BatchNorm2d() | nn.LayerNorm() | nn.GroupNorm():
            return "norm"
        case Operation():
            return "operation"
        case _ if "Pool" in type(module).__name__:
            return "pool"
        case _ if type(module).__module__ == "torch.nn.modules.activation":
            return "activation"
        case _:
            return "other"
