"""Attention of torch.nn, which reads the weight of its `out_proj` without calling that layer.

`open_attention` makes it read the weight behind the quantizer. Its input and output projections
stay the parameters that they are, so that a float state dict still loads.
"""

from torch import Tensor, nn
from torch.nn import functional

from quantlab.algorithms.layers import QUANTIZED, Target, carries, through
from quantlab.errors import UsageError
from quantlab.quantizer import Quantizer

_LAYER = "out_proj"


class QuantizedMultiheadAttention(nn.MultiheadAttention):
    """A MultiheadAttention whose `out_proj` has a weight quantizer; made by `open_attention`."""

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        is_turned = self.batch_first and query.dim() == 3
        if is_turned:
            # One tensor given three times stays one: torch then projects it at once.
            turned = {id(x): x.transpose(0, 1) for x in (query, key, value)}
            query, key, value = (turned[id(x)] for x in (query, key, value))
        layer: nn.Module = self.out_proj
        y, attention = functional.multi_head_attention_forward(
            query,
            key,
            value,
            self.embed_dim,
            self.num_heads,
            self.in_proj_weight,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            self.dropout,
            through(carries(layer)["weight"], layer.get_parameter("weight")),
            self.out_proj.bias,
            training=self.training,
            key_padding_mask=key_padding_mask,
            need_weights=need_weights,
            attn_mask=attn_mask,
            use_separate_proj_weight=not self._qkv_same_embed_dim,
            q_proj_weight=self.q_proj_weight,
            k_proj_weight=self.k_proj_weight,
            v_proj_weight=self.v_proj_weight,
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
        )
        return (y.transpose(0, 1) if is_turned else y), attention


def attention_of(network: nn.Module, name: str) -> nn.MultiheadAttention | None:
    """Return the attention of which the layer of this name is the `out_proj`."""
    path, _, last = name.rpartition(".")
    parent = network.get_submodule(path)
    return parent if last == _LAYER and isinstance(parent, nn.MultiheadAttention) else None


def check_attention(attention: nn.MultiheadAttention, name: str, on: Target) -> None:
    """Raise UsageError unless `out_proj`, of this name, can have a quantizer there."""
    known = (nn.MultiheadAttention, QuantizedMultiheadAttention)
    if type(attention) not in known or on != "weight":
        raise UsageError(
            f"{name}: a quantizer of its {on} given, but {type(attention).__name__} does not call "
            f"the layer; of a MultiheadAttention's {_LAYER} the weight allowed: leave it out with "
            f"'!{name}'"
        )


def open_attention(attention: nn.MultiheadAttention) -> None:
    """Make an attention read the weight of `out_proj` behind its quantizer, in place."""
    attention.__class__ = QuantizedMultiheadAttention
    layer: nn.Module = attention.out_proj
    if type(layer) not in QUANTIZED.values():
        layer.__class__ = nn.Linear  # which it is in all but the name


def call_layers(network: nn.Module) -> None:
    """Keep encoders that hold quantizers from torch's fused path, in place.

    It reads the weights of layers without calling them, for networks that evaluate without
    gradients, and is taken by activations that it knows.
    """
    for module in network.modules():
        if isinstance(module, nn.TransformerEncoderLayer) and _holds_quantizers(module):
            module.activation_relu_or_gelu = 0  # neither of those that it knows
        if isinstance(module, nn.TransformerEncoder) and _holds_quantizers(module):
            module.use_nested_tensor = False  # only the fused path takes one


def _holds_quantizers(network: nn.Module) -> bool:
    return any(isinstance(module, Quantizer) for module in network.modules())
