"""What is refused, and what can be written in its place."""

from collections.abc import Mapping

from torch import nn

_NORM = "BatchNorm1d and BatchNorm2d fold into the layers before them"
_ATTENTION = (
    "attention multiplies two tensors that both depend on the input, which C of floats lacks"
)
REMEDIES: Mapping[str, str] = {
    "LayerNorm": _NORM,
    "GroupNorm": _NORM,
    "InstanceNorm1d": _NORM,
    "InstanceNorm2d": _NORM,
    "LocalResponseNorm": _NORM,
    "RMSNorm": _NORM,
    "layer_norm": _NORM,
    "group_norm": _NORM,
    "MultiheadAttention": _ATTENTION,
    "TransformerEncoderLayer": _ATTENTION,
    "scaled_dot_product_attention": _ATTENTION,
    "MatMul": _ATTENTION,
    "argmax": "whoever reads the scores can take it",
    "dropout": "one that is on in evaluation; training=self.training turns it off",
}


def without_form(what: nn.Module | str) -> str:
    """Return why a module, or a function or method of a name, is refused, with the remedy if there
    is one."""
    names = [what] if isinstance(what, str) else [cls.__name__ for cls in type(what).__mro__]
    remedy = next((REMEDIES[n] for n in (n.lstrip(".") for n in names) if n in REMEDIES), None)
    return f"{names[0]} has no form in C of floats" + (f"; {remedy}" if remedy else "")
