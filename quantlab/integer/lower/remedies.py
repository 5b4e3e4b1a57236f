"""What a user can write in place of what has no integer operation."""

from collections.abc import Mapping

from torch import nn

from quantlab.graphs.operations import Pad

_NORM = "BatchNorm2d and BatchNorm1d fold into the layers before them"
_SEQUENCE = "Conv1d over the sequence has one, and so has a gate, x * torch.sigmoid(y)"
_ZEROS = "ZeroPad2d and ConstantPad2d have one"
_LARGER = "a + F.relu(b - a) has one, and amax over axes"
_SMALLER = "a - F.relu(a - b) has one"
_ONE_HOT = "features of zeros and ones, one for each category, and a Linear have one"
_END = "as the last layer it is left out, for the order of the scores stays the same"

# Where layers get the classes that carry their quantizers.
_CARRIERS = ("quantlab.algorithms.layers", "quantlab.algorithms.attention")

# By the name of a class, or of a function or method without its dot and overload.
REMEDIES: Mapping[str, str] = {
    "LayerNorm": _NORM,
    "GroupNorm": _NORM,
    "InstanceNorm1d": _NORM,
    "InstanceNorm2d": _NORM,
    "LocalResponseNorm": _NORM,
    "RMSNorm": _NORM,
    "layer_norm": _NORM,
    "native_layer_norm": _NORM,
    "group_norm": _NORM,
    "native_group_norm": _NORM,
    "instance_norm": _NORM,
    "local_response_norm": _NORM,
    "rms_norm": _NORM,
    "MultiheadAttention": _SEQUENCE,
    "scaled_dot_product_attention": _SEQUENCE,
    "multi_head_attention_forward": _SEQUENCE,
    "Transformer": _SEQUENCE,
    "TransformerEncoder": _SEQUENCE,
    "TransformerEncoderLayer": _SEQUENCE,
    "TransformerDecoder": _SEQUENCE,
    "TransformerDecoderLayer": _SEQUENCE,
    "RNN": _SEQUENCE,
    "LSTM": _SEQUENCE,
    "GRU": _SEQUENCE,
    "MatMul": "nn.Linear, a product with weights, has one",
    "matmul": "nn.Linear, a product with weights, has one",
    "einsum": "nn.Linear, a product with weights, has one",
    "Conv3d": "Conv2d has one, of a third axis among the channels",
    "ConvTranspose3d": "ConvTranspose2d has one, of a third axis among the channels",
    "Softmax": _END,
    "LogSoftmax": _END,
    "ReflectionPad2d": _ZEROS,
    "ReplicationPad2d": _ZEROS,
    "CircularPad2d": _ZEROS,
    "Divide": "a product with a constant has one",
    "div": "a product with a constant has one",
    "abs": "x.relu() + (-x).relu() has one",
    "pow": "x * x has one",
    "square": "x * x has one",
    "argmax": "whoever reads the scores can take it",
    "linear": "nn.Linear, with a quantizer, has one",
    "conv1d": "nn.Conv1d, with a quantizer, has one",
    "conv2d": "nn.Conv2d, with a quantizer, has one",
    "conv_transpose1d": "nn.ConvTranspose1d, with a quantizer, has one",
    "conv_transpose2d": "nn.ConvTranspose2d, with a quantizer, has one",
    "batch_norm": "nn.BatchNorm2d has one",
    "prelu": "nn.PReLU has one",
    "max": _LARGER,
    "min": _SMALLER,
    "max_pool2d_with_indices": "without return_indices it has one",
    "maximum": _LARGER,
    "minimum": _SMALLER,
    "amin": "-torch.amax(-x, ...) has one",
    "GLU": "a * torch.sigmoid(b) has one, of a, b = x.chunk(2, 1)",
    "glu": "a * torch.sigmoid(b) has one, of a, b = x.chunk(2, 1)",
    "Embedding": _ONE_HOT,
    "EmbeddingBag": _ONE_HOT,
    "long": _ONE_HOT,
    "int": _ONE_HOT,
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
    names = [what] if isinstance(what, str) else _names_of(type(what))
    bare = (name.lstrip(".").partition(".")[0] for name in names)
    remedy = next((REMEDIES[name] for name in bare if name in REMEDIES), None)
    return f"{names[0]} has no integer operation" + (f"; {remedy}" if remedy else "")


def _names_of(cls: type[nn.Module]) -> list[str]:
    """Return the names of a class and its bases, without those that quantizers gave a layer."""
    return [base.__name__ for base in cls.__mro__ if base.__module__ not in _CARRIERS]
