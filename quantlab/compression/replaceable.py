"""The layers of a network that may take other forms, and why others may not."""

from collections.abc import Collection, Sequence

import torch
from torch import Tensor, fx, nn

from quantlab.algorithms.layers import carries
from quantlab.errors import UsageError, check_kind, did_you_mean
from quantlab.graphs.paths import callers, join
from quantlab.graphs.replace import obstacle, standing_in
from quantlab.graphs.select import LAYER_TYPES, quantizable_layers
from quantlab.graphs.shapes import evaluating
from quantlab.integer.lower.finite import check_finite


def named_layers(network: nn.Module, names: Sequence[str] | None) -> dict[str, nn.Module]:
    """Return the layers with weights of these names, or all, each once, in the order of definition.

    A layer that stands at several places has the name of the first. Raises UsageError for names of
    no such layer, for a network without any, and for weights that are not finite.
    """
    layers = quantizable_layers(network)
    if not layers:
        raise UsageError(f"network: a {type(network).__name__} without layers of weights given")
    if names is not None:
        check_kind("names", names, list | tuple, "a list of layers' names")
        chosen = {_layer(network, name) for name in names}
        layers = {name: layer for name, layer in layers.items() if layer in chosen}
    for name, layer in layers.items():
        for key, parameter in layer.named_parameters():
            check_finite(parameter, join(name, key))
    return layers


def blocked(
    network: nn.Module, layer: nn.Module, called: Collection[nn.Module], sample: Tensor
) -> str | None:
    """Return why a layer has to stay as it is, None if it may change. called: the layers that the
    network calls. sample: a batch of one, `[1, ...]`."""
    if isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d):
        return f"a {type(layer).__name__} has no low-rank form here"
    if carries(layer):
        return "it carries quantizers; factorize before quantizing"
    if any(layer in callers(m) for m in network.modules() if isinstance(m, fx.GraphModule)):
        return "a traced graph calls it; factorize before tracing"
    reason = obstacle(network, layer, (nn.Linear, nn.Conv1d, nn.Conv2d))
    if reason is not None:
        return reason
    if layer not in called:
        return "the network does not call it"
    return _read(network, layer, sample)


@torch.no_grad()
def _read(network: nn.Module, layer: nn.Module, sample: Tensor) -> str | None:
    """Return which attribute of a layer the network reads, None if it only calls it."""
    wrapped = nn.Sequential(layer)
    with standing_in(network, layer, wrapped) as changed, evaluating(changed):
        try:
            changed(sample)
        except AttributeError as error:
            if error.obj is not wrapped:
                raise
            return f"the network reads its '{error.name}'"
    return None


def _layer(network: nn.Module, name: object) -> nn.Module:
    named = {
        path: module
        for path, module in network.named_modules(remove_duplicate=False)
        if isinstance(module, LAYER_TYPES)
    }
    check_kind("names", name, str, "a layer's name")
    assert isinstance(name, str)
    if name not in named:
        hint = did_you_mean(name, named) or "; the name of a layer with weights allowed"
        raise UsageError(f"names: unknown layer '{name}'{hint}")
    return named[name]
