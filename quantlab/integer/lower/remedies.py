"""What a user can write in place of what has no integer operation."""

from collections.abc import Mapping

from torch import nn

from quantlab.graphs.operations import Pad

_NORM = "BatchNorm2d and BatchNorm1d fold into the layers before them"
_FLAT = "the layer of two axes does the same on a height of 1"
_ZEROS = "ZeroPad2d and ConstantPad2d have one"
_END = "as the last layer it is left out, for the order of the scores stays the same"

# By the name of a class, or of a function or method without its dot.
REMEDIES: Mapping[str, str] = {
    "LayerNorm": _NORM,
    "GroupNorm": _NORM,
    "InstanceNorm1d": _NORM,
    "InstanceNorm2d": _NORM,
    "LocalResponseNorm": _NORM,
    "RMSNorm": _NORM,
    "Softmax": _END,
    "LogSoftmax": _END,
    "Conv1d": _FLAT,
    "MaxPool1d": _FLAT,
    "AvgPool1d": _FLAT,
    "AdaptiveAvgPool1d": _FLAT,
    "AdaptiveMaxPool1d": _FLAT,
    "ReflectionPad2d": _ZEROS,
    "ReplicationPad2d": _ZEROS,
    "CircularPad2d": _ZEROS,
    "ConvTranspose2d": "Upsample with mode 'nearest' and a Conv2d have one",
    "Divide": "a product with a constant has one",
    "div": "a product with a constant has one",
    "abs": "x.relu() + (-x).relu() has one",
    "pow": "x * x has one",
    "square": "x * x has one",
    "argmax": "whoever reads the scores can take it",
    "linear": "nn.Linear, with a quantizer, has one",
    "conv2d": "nn.Conv2d, with a quantizer, has one",
    "batch_norm": "nn.BatchNorm2d has one",
    "prelu": "nn.PReLU has one",
    "max": "clamp has one, and AdaptiveMaxPool2d(1) over height and width",
    "min": "clamp has one",
    "zeros_like": "F.pad has one",
    "max_pool2d_with_indices": "without return_indices it has one",
    "maximum": "clamp has one",
    "minimum": "clamp has one",
    "amax": "AdaptiveMaxPool2d(1) has one",
    "add": "with alpha, it has none: multiply first",
    "sub": "with alpha, it has none: multiply first",
    "dropout": "one that is on in evaluation; training=self.training turns it off",
    "hstack": "torch.cat has one",
    "vstack": "torch.cat has one",
    "tile": "repeat has one",
    "repeat_interleave": "F.interpolate has one, or repeat",
}


def refused_setting(module: nn.Module) -> str | None:
    """Return which setting of a module has no integer form, with what is allowed; None if all
    have."""
    padding = module.mode if isinstance(module, Pad) else getattr(module, "padding_mode", "zeros")
    if isinstance(module, nn.Upsample) and module.mode not in ("nearest", "nearest-exact"):
        return f"mode '{module.mode}', 'nearest' allowed"
    if getattr(module, "return_indices", False):
        return "return_indices=True, False allowed"
    if padding not in ("zeros", "constant"):
        return f"padding_mode '{padding}', 'zeros' or a constant allowed"
    return None


def without_operation(what: nn.Module | str) -> str:
    """Return why a module, or a function or method of a name, is refused, with the remedy if there
    is one."""
    names = [what] if isinstance(what, str) else [cls.__name__ for cls in type(what).__mro__]
    remedy = next((REMEDIES[n] for n in (n.lstrip(".") for n in names) if n in REMEDIES), None)
    return f"{names[0]} has no integer operation" + (f"; {remedy}" if remedy else "")
