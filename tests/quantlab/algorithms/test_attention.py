"""Layers of torch.nn that read the weights of others: quantized as the rules say, or refused."""

import copy

import pytest
import torch
from torch import Tensor, nn

from quantlab.algorithms import quantize, unused_quantizers
from quantlab.algorithms.after_training import calibrate
from quantlab.algorithms.layers import carries
from quantlab.errors import UsageError

LSQ = {"kind": "lsq", "num_bits": 2}


def new_layer() -> nn.TransformerEncoderLayer:
    torch.manual_seed(0)
    return nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()


def on_grid(network: nn.Module) -> nn.Module:
    """Return a float copy whose weights are what the quantizers make of them."""
    made = copy.deepcopy(network)
    for layer in made.modules():
        if "weight" in carries(layer):
            with torch.no_grad():
                layer.weight.copy_(layer.weight_quantizer(layer.weight))
            layer.weight_quantizer.set_enabled(False)
    return made


@pytest.mark.parametrize("select", ["linear1", "*out_proj", "*"])
def test_evaluation_without_gradients_quantizes_too(select: str, rules) -> None:
    layer, x = new_layer(), torch.randn(3, 5, 8)
    before = layer(x)
    quantize(layer, rules((select, "weight", LSQ)))
    calibrate(layer, [x])
    with torch.no_grad():
        found = layer(x)
    torch.testing.assert_close(found, layer(x))
    torch.testing.assert_close(found, on_grid(layer)(x))
    assert (found - before).abs().max() > 0.01
    assert unused_quantizers(layer) == []


def test_sequences_of_different_lengths(rules) -> None:
    encoder = nn.TransformerEncoder(new_layer(), 2).eval()
    quantize(encoder, rules(("*", "weight", LSQ)))
    x, mask = torch.randn(3, 5, 8), torch.arange(5) >= torch.tensor([[5], [3], [4]])
    calibrate(encoder, [x])
    with torch.no_grad():
        found = encoder(x, src_key_padding_mask=mask)
    torch.testing.assert_close(found, encoder(x, src_key_padding_mask=mask))


def test_a_float_encoder_stays_as_it_was(rules) -> None:
    network = nn.ModuleList([nn.TransformerEncoder(new_layer(), 1), nn.Linear(8, 2)])
    quantize(network, rules(("last", "weight", LSQ)))
    assert network[0].use_nested_tensor


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"batch_first": True},
        {"bias": False},
        {"kdim": 4, "vdim": 6},
        {"add_bias_kv": True, "add_zero_attn": True},
    ],
)
@pytest.mark.parametrize("is_self", [True, False])
def test_attention_computes_what_it_did(settings, is_self: bool, rules) -> None:
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(8, 2, **settings)
    sizes = settings.get("kdim", 8), settings.get("vdim", 8)
    q, k, v = (torch.randn(3, 5, size) for size in (8, *sizes))
    given: tuple[Tensor, ...] = (q, q, q) if is_self and sizes == (8, 8) else (q, k, v)
    state, wanted = attention.state_dict(), attention(*given)
    quantize(attention, rules(("out_proj", "weight", LSQ)))
    for found, expected in zip(attention(*given), wanted, strict=True):
        assert torch.equal(found, expected)
    assert not attention.load_state_dict(state, strict=False).unexpected_keys
    one = attention(q[:, 0], k[:, 0], v[:, 0], need_weights=False)
    assert one[0].shape == (3, 8)
    assert one[1] is None


@pytest.mark.parametrize("on", ["input", "output"])
def test_only_the_weight_of_a_projection(on: str, rules) -> None:
    layer = new_layer()
    message = rf"self_attn.out_proj: a quantizer of its {on} given, but MultiheadAttention does not"
    with pytest.raises(UsageError, match=message):
        quantize(layer, rules(("*out_proj", on, LSQ)))
    assert type(layer.self_attn) is nn.MultiheadAttention
    quantize(layer, rules(("*out_proj", "weight", LSQ)))
    with pytest.raises(UsageError, match="but QuantizedMultiheadAttention does not call"):
        quantize(layer, rules(("*out_proj", on, LSQ)))


def test_attention_with_a_forward_pass_of_its_own(rules) -> None:
    class Own(nn.MultiheadAttention):
        pass

    network = nn.Sequential(Own(8, 2))
    with pytest.raises(UsageError, match=r"0.out_proj: .* Own does not call .*'!0.out_proj'"):
        quantize(network, rules(("*", "weight", LSQ)))
    with pytest.raises(UsageError, match="part of a MultiheadAttention"):
        quantize(network[0].out_proj, rules(("*", "weight", LSQ)))
