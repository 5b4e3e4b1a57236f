"""A network with codes in the place of weights, and what they are codes of."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from quantlab.algorithms.layers import carries
from quantlab.errors import UsageError
from quantlab.floats.lower.grids import on_grid
from quantlab.generation.layers import MLGConv2d, MLGLinear, latents
from quantlab.graphs.leaves import EDGE_SLOTS
from quantlab.packs.weights import GeneratedWeight, Numbers, PlainWeight, Weight
from quantlab.quantizer import Quantizer

_MOST_BITS = 8
_Made = tuple["Coded | None", list[nn.Module], list[nn.Module]]  # with what is about the layer
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

    The network is changed. Quantizers of inputs and outputs, and paddings other than by zeros,
    become modules about the layer: of `conv` then `conv.0`, `conv.1`, ... in their order.
    """
    made: dict[nn.Module, _Made] = {}
    for path, module in list(network.named_modules(remove_duplicate=False)):
        if module not in made:
            made[module] = (_coded(path, module), *_edges(path, module))
        coded, on_input, after = made[module]
        before = [*on_input]
        has_form = coded is not None or isinstance(module, nn.Conv1d | nn.Conv2d)
        if has_form and getattr(module, "padding_mode", "zeros") != "zeros":
            before.append(_padding(module))
        if coded is None and not before and not after:
            continue
        plain = _plain(module, coded, is_padded=has_form)
        if before or after:
            plain = nn.Sequential(*before, plain, *after)
        if coded is not None:
            weights[f"{path}.{len(before)}" if before or after else path] = coded
        if not path:
            return plain
        parent, _, name = path.rpartition(".")
        setattr(network.get_submodule(parent), name, plain)
    return network


def _edges(path: str, layer: nn.Module) -> tuple[list[nn.Module], list[nn.Module]]:
    """Return the quantizers of a layer's input and output as operations."""
    found = {
        on: quantizer
        for on, quantizer in carries(layer).items()
        if on != "weight" and quantizer.is_enabled
    }
    if found and getattr(layer, "has_open_edges", False):
        raise UsageError(
            f"layer '{path}': of a graph whose quantizers are nodes, the network itself allowed"
        )
    before, after = (
        [on_grid(found[on], f"{path}.{on}_quantizer")] if on in found else []
        for on in ("input", "output")
    )
    return [*before], [*after]


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


def _plain(layer: nn.Module, coded: Coded | None, *, is_padded: bool) -> nn.Module:
    """Return a layer of torch.nn in the place of one, with its codes for a weight if it has any.

    is_padded: whether other paddings than by zeros are a module before it.
    """
    if coded is None and not isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear):
        return _without_quantizers(layer)
    assert isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear)
    plain: nn.Module
    if isinstance(layer, nn.Linear):
        plain = nn.Linear(layer.in_features, layer.out_features, layer.bias is not None)
    else:
        cls: Any = nn.Conv2d if isinstance(layer, nn.Conv2d) else nn.Conv1d
        is_moved = is_padded and layer.padding_mode != "zeros"
        plain = cls(
            layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride,
            0 if is_moved else layer.padding, layer.dilation, layer.groups, layer.bias is not None,
        )  # fmt: skip
    dense = layer.weight if coded is None else torch.as_tensor(coded.weight.unscaled())
    dense = dense.detach().float().reshape(plain.get_parameter("weight").shape)
    plain.weight = nn.Parameter(dense, requires_grad=False)
    if layer.bias is not None:
        plain.bias = nn.Parameter(layer.bias.detach().clone(), requires_grad=False)
    return plain.train(layer.training)


def _without_quantizers(layer: nn.Module) -> nn.Module:
    """Return a layer that passes nothing through quantizers."""
    for slot in EDGE_SLOTS:
        if slot in layer._modules:
            layer._modules[slot] = None
    return layer


def _padding(layer: nn.Module) -> nn.Module:
    """Return the padding of a layer as a module."""
    assert isinstance(layer, nn.Conv1d | nn.Conv2d)
    one, two = _PADS[layer.padding_mode]
    cls: Any = two if isinstance(layer, nn.Conv2d) else one
    padding: nn.Module = cls(tuple(layer._reversed_padding_repeated_twice))
    return padding


def _array(tensor: Tensor) -> NDArray[Any]:
    found: NDArray[Any] = tensor.detach().float().numpy()
    return found
