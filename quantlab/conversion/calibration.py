"""From a float network to one that can be lowered, by what it computes on a few samples."""

import copy
import math
import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from quantlab.algorithms import quantize
from quantlab.algorithms.after_training import calibrate
from quantlab.algorithms.layers import carries
from quantlab.errors import UsageError
from quantlab.generation.layers import FACTORS, generated_layers
from quantlab.graphs.select import LAYER_TYPES, quantizable_layers
from quantlab.graphs.weights import check_not_generated, weight_of
from quantlab.integer.lower.finite import check_finite
from quantlab.integer.lower.stages import GENERATED_LAYERS, stages_of
from quantlab.quantizer import Quantizer

Rule = dict[str, Any]
_WEIGHTS: Rule = {"select": "*", "on": "weight", "algorithm": {"kind": "ste", "num_bits": 8}}
_SUM_BITS = 31  # beside the sign
_BIAS_BITS = 1  # so that a sum and its bias fit
_BATCH = 128


def has_quantizers(network: nn.Module) -> bool:
    """Return whether a network quantizes anything itself, but for the factors of its weights."""
    of_factors = {
        layer._modules[f"{factor}_quantizer"]
        for _, layer in generated_layers(network)
        for factor in FACTORS
    }
    found = {module for module in network.modules() if isinstance(module, Quantizer)}
    return not found <= of_factors


def quantized_copy(network: nn.Module, samples: Tensor, *, most_bits: int) -> nn.Module:
    """Return a copy whose weights have 8 bits, with a scale for each output, and inputs of layers
    at most `most_bits`, for the ranges of samples `[N, ...]`. Generated weights keep the bits of
    their factors.

    Layers whose sums would not fit in 32 bits get inputs of fewer bits. The first layer reads the
    program's input as it is. Raises UsageError for networks that cannot carry quantizers, or with
    numbers that are not finite.
    """
    check_layers(network)
    chosen = copy.deepcopy(network).eval()
    plain = quantizable_layers(chosen).keys() - dict(generated_layers(chosen)).keys()
    if plain:
        quantize(chosen, [{**_WEIGHTS, "select": " | ".join(map(exactly, sorted(plain)))}])
        calibrate(chosen, [samples[:1]])  # the weights alone
    rules = list(input_rules(chosen, most_bits))
    if rules:
        quantize(chosen, rules)
        calibrate(chosen, samples.split(_BATCH))
    return chosen


def check_layers(network: nn.Module) -> None:
    if not quantizable_layers(network):
        names = ", ".join(sorted(layer.__name__ for layer in LAYER_TYPES))
        raise UsageError(
            f"model: a {type(network).__name__} given, a network with layers of weights allowed: "
            f"{names}"
        )
    if "" in quantizable_layers(network):
        kind = type(network).__name__
        raise UsageError(f"model: a bare {kind} given; nn.Sequential(model) allowed")
    for name, tensor in network.state_dict().items():
        if tensor.is_meta:
            raise UsageError(f"model: '{name}' on the device meta given, one with values allowed")
        check_finite(tensor, name)


def check_none_generated(network: nn.Module) -> None:
    """Raise UsageError, with the layer, if the weight of one is generated."""
    for name, layer in quantizable_layers(network).items():
        check_not_generated(layer, name)


def input_rules(network: nn.Module, most_bits: int) -> Iterator[Rule]:
    """Yield a rule for the input of each layer but the first, whose weights have quantizers: so
    many bits that its sums fit in 32, at most `most_bits`."""
    for name, layer in list(quantizable_layers(network).items())[1:]:
        codes = _codes_of(layer, name)
        if codes is None:
            continue
        largest = codes.abs().flatten(1).sum(1).max().item()
        room = _SUM_BITS - _BIAS_BITS - math.ceil(math.log2(max(largest, 1)))
        algorithm = {"kind": "ste", "num_bits": min(most_bits, room), "observer": "minmax"}
        yield {"select": exactly(name), "on": "input", "algorithm": algorithm}


def _codes_of(layer: nn.Module, name: str) -> Tensor | None:
    """Return the codes of what a layer multiplies its input by first, None if there are none."""
    if isinstance(layer, GENERATED_LAYERS):
        return torch.from_numpy(stages_of(layer, name)[0].weight).int()
    quantizer = carries(layer).get("weight")
    return None if quantizer is None else quantizer.codes(weight_of(layer))


def exactly(name: str) -> str:
    """Return the selector of one layer: names may be words of selectors."""
    return re.sub(r"^(first|last)$", lambda found: f"[{found[0][0]}]{found[0][1:]}", name)
