"""A network with codes in the place of weights, and what they are codes of."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from quantlab.errors import UsageError
from quantlab.generation.layers import MLGConv2d, MLGLinear, latents
from quantlab.graphs.leaves import EDGE_SLOTS
from quantlab.packs.weights import GeneratedWeight, Numbers, PlainWeight, Weight
from quantlab.quantizer import Quantizer

_MOST_BITS = 8
_PADS: Mapping[str, tuple[type[nn.Module], type[nn.Module]]] = {  # of one and of two dimensions
    "reflect": (nn.ReflectionPad1d, nn.ReflectionPad2d),
    "replicate": (nn.ReplicationPad1d, nn.ReplicationPad2d),
    "circular": (nn.CircularPad1d, nn.CircularPad2d),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Coded:
    """A weight, the layer that it is named after, and the sizes of its units, `[Co]` or `[1]`."""

    name: str
    weight: Weight
    sizes: NDArray[np.float64]


def with_codes(network: nn.Module, weights: dict[str, Coded]) -> nn.Module:
    """Return a network whose layers have codes for weights, and put what was there into `weights`.

    The network is changed. A padding other than by zeros becomes a module, `conv.0`, before the
    layer, which is `conv.1` then.
    """
    made: dict[nn.Module, Coded | None] = {}
    for path, module in list(network.named_modules(remove_duplicate=False)):
        coded = made[module] if module in made else _coded(path, module)
        made[module] = coded
        has_form = coded is not None or type(module) in (nn.Conv1d, nn.Conv2d)
        is_padded = has_form and getattr(module, "padding_mode", "zeros") != "zeros"
        if coded is None and not is_padded:
            continue
        dense = module.get_parameter("weight") if coded is None else coded.weight.unscaled()
        plain = _plain(module, torch.as_tensor(dense))
        if is_padded:
            plain = _behind_padding(module, plain)
        if coded is not None:
            weights[f"{path}.1" if is_padded else path] = coded
        if not path:
            return plain
        parent, _, name = path.rpartition(".")
        setattr(network.get_submodule(parent), name, plain)
    return network


def coded_of(layer: str, network: nn.Module, weights: Mapping[str, Coded]) -> Coded | None:
    """Return the codes of a layer of a program: of a module that is called several times, the calls
    after the first have names of their own there, with a number behind it."""
    is_module = any(layer == path for path, _ in network.named_modules(remove_duplicate=False))
    return weights.get(layer if is_module else re.sub(r"_\d+$", "", layer))


def _coded(path: str, layer: nn.Module) -> Coded | None:
    """Return the weight of a layer, None for a layer without codes."""
    quantizer = layer._modules.get("weight_quantizer")
    if not isinstance(layer, MLGConv2d | MLGLinear) and quantizer is None:
        return None
    for slot in EDGE_SLOTS:
        if layer._modules.get(slot) is not None:
            raise UsageError(
                f"layer '{path}': {slot} given, but between the layers of a pack there are floats; "
                "without quantizers of inputs and outputs allowed"
            )
    if isinstance(layer, MLGConv2d | MLGLinear):
        return _generated(path, layer)
    if not isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear):
        raise UsageError(
            f"layer '{path}': a {type(layer).__name__} with a weight_quantizer given, Conv1d, "
            "Conv2d, Linear allowed"
        )
    assert isinstance(quantizer, Quantizer)
    numbers, sizes = _numbers(f"{path}.weight", layer.weight, quantizer)
    return Coded(name=path, weight=PlainWeight(numbers=numbers), sizes=sizes)


def _generated(path: str, layer: MLGConv2d | MLGLinear) -> Coded:
    found: dict[str, Numbers | None] = {}
    size = np.ones(1)
    for name, latent in latents(layer).by_name.items():
        found[name] = None
        if latent is not None:
            quantizer = layer._modules[f"{name}_quantizer"]
            assert quantizer is None or isinstance(quantizer, Quantizer)
            found[name], sizes = _numbers(f"{path}.{name}", latent, quantizer)
            if sizes.size != 1:
                raise UsageError(f"{path}.{name}: {sizes.size} scales given, 1 allowed")
            size = size * sizes
    basis = found["basis"]
    assert basis is not None
    weight = GeneratedWeight(coeff_out=found["coeff_out"], coeff_in=found["coeff_in"], basis=basis)
    return Coded(name=path, weight=weight, sizes=size)


def _numbers(
    name: str, latent: Tensor, quantizer: Quantizer | None
) -> tuple[Numbers, NDArray[np.float64]]:
    """Return what a tensor is on its grid, and the sizes of its units, `[Co]` or `[1]`."""
    if quantizer is None or not quantizer.is_enabled:
        return Numbers(values=_array(latent)), np.ones(1)
    scale = _array(quantizer.scale).astype(np.float64)
    is_by_rows = scale.shape == (len(latent), *[1] * (latent.ndim - 1))
    if quantizer.zero_point.any() or (scale.size != 1 and not is_by_rows):
        raise UsageError(
            f"{name}: {quantizer.spec} with {scale.size} scales given; zero points of 0 and one "
            "scale, or one of each output, allowed"
        )
    codes, levels = quantizer.codes(latent).numpy(), quantizer.spec.codes
    is_odd = all(code % 2 for code in levels)
    half = [(code - 1) // 2 for code in levels] if is_odd else levels
    bits = max(1 if is_odd else 2, *(_signed_bits(code) for code in (min(half), max(half))))
    if bits > _MOST_BITS:
        raise UsageError(f"{name}: codes {min(levels)} to {max(levels)} given, 8 bits allowed")
    dtype = np.int8 if np.abs(levels).max() < 128 or min(levels) == -128 else np.int16
    return Numbers(values=codes.astype(dtype), num_bits=bits, is_odd=is_odd), scale.reshape(-1)


def _signed_bits(code: int) -> int:
    return (code if code >= 0 else -code - 1).bit_length() + 1


def _plain(layer: nn.Module, weight: Tensor) -> nn.Module:
    """Return a layer of torch.nn with another weight."""
    assert isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear)
    plain: nn.Module
    if isinstance(layer, nn.Linear):
        plain = nn.Linear(layer.in_features, layer.out_features, layer.bias is not None)
    else:
        cls: Any = nn.Conv2d if isinstance(layer, nn.Conv2d) else nn.Conv1d
        plain = cls(
            layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding,
            layer.dilation, layer.groups, layer.bias is not None,
        )  # fmt: skip
    dense = weight.detach().float().reshape(plain.get_parameter("weight").shape)
    plain.weight = nn.Parameter(dense, requires_grad=False)
    if layer.bias is not None:
        plain.bias = nn.Parameter(layer.bias.detach().clone(), requires_grad=False)
    return plain.train(layer.training)


def _behind_padding(layer: nn.Module, plain: nn.Module) -> nn.Module:
    """Return a layer of zero padding behind the padding of another one."""
    assert isinstance(layer, nn.Conv1d | nn.Conv2d)
    assert isinstance(plain, nn.Conv1d | nn.Conv2d)
    one, two = _PADS[layer.padding_mode]
    cls: Any = two if isinstance(layer, nn.Conv2d) else one
    plain.padding = (0,) * len(layer.kernel_size)
    return nn.Sequential(cls(tuple(layer._reversed_padding_repeated_twice)), plain)


def _array(tensor: Tensor) -> NDArray[Any]:
    found: NDArray[Any] = tensor.detach().float().numpy()
    return found
