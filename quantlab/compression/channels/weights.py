"""The weights of a layer, as it computes with them, and the tensors that have its shape."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from quantlab.compression.channels.kinds import Layer
from quantlab.graphs.slots import applied
from quantlab.graphs.weights import TRANSPOSED
from quantlab.numerics.granularity import PerGroup
from quantlab.quantizer import Quantizer


def weight_quantizer(layer: Layer) -> Quantizer | None:
    """Return the quantizer that a layer's weight passes through, None without one."""
    return applied(layer).get("weight_quantizer")


def is_quantized(layer: Layer) -> bool:
    """Return whether a layer computes with codes of its weight at this moment."""
    quantizer = weight_quantizer(layer)
    return quantizer is not None and quantizer.is_enabled


@torch.no_grad()
def effective_weight(layer: Layer) -> Tensor:
    """Return a layer's weight as it computes with it: float64, `[groups, outputs of a group, inputs
    of a group, taps]`. A weight that its quantizer rounds to 0 is 0."""
    weight, quantizer = layer.weight.detach(), weight_quantizer(layer)
    if quantizer is not None:
        weight = quantizer(weight)
    groups = groups_of(layer)
    split = weight.double().cpu().reshape(groups, weight.shape[0] // groups, weight.shape[1], -1)
    return split.transpose(1, 2) if isinstance(layer, TRANSPOSED) else split


def groups_of(layer: Layer) -> int:
    """Return the groups of a convolution, 1 of a linear layer."""
    return 1 if isinstance(layer, nn.Linear) else layer.groups


def is_uniform(layer: Layer) -> bool:
    """Return whether a layer makes of constant channels constant ones: it has no border of
    zeros."""
    if isinstance(layer, nn.Linear):
        return True
    if isinstance(layer, TRANSPOSED):
        return False
    return layer.padding_mode != "zeros" or not any(layer._reversed_padding_repeated_twice)


def obstacle(layer: Layer) -> str | None:
    """Return why a layer's weight cannot be cut, None if it can: a tensor of another shape than the
    weight's and the scale's, or a scale for each few inputs."""
    quantizer = weight_quantizer(layer)
    if quantizer is None:
        return None
    if isinstance(quantizer.spec.granularity, PerGroup):
        return f"weights quantized {quantizer.spec.granularity}"
    shapes = (layer.weight.shape, quantizer.scale_shape)
    for module in quantizer.modules():
        for tensor in own_tensors(module):
            if tensor.numel() > 1 and tuple(tensor.shape) not in (tuple(s) for s in shapes):
                return f"a {type(quantizer).__name__} with a tensor of {list(tensor.shape)}"
    return None


def tensors_of(module: nn.Module) -> list[Tensor]:
    """Return the parameters and buffers that have channels: those of a layer and its weight's
    quantizer, or of a batch norm or PReLU."""
    return [t for owner in owners_of(module) for t in own_tensors(owner) if t.ndim > 0]


def owners_of(module: nn.Module) -> list[nn.Module]:
    """Return the modules whose parameters and buffers these are."""
    quantizer = applied(module).get("weight_quantizer")
    return [module, *(() if quantizer is None else quantizer.modules())]


def own_tensors(module: nn.Module) -> Iterator[Tensor]:
    """Yield a module's parameters and buffers, without those of submodules."""
    for table in (module._parameters, module._buffers):
        yield from (tensor for tensor in table.values() if tensor is not None)
