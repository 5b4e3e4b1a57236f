"""The modes that a network is put in to be looked at, and left in as it was."""

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from quantlab.algorithms.layers import carries
from quantlab.errors import UsageError
from quantlab.graphs.leaves import EDGE_SLOTS
from quantlab.graphs.weights import is_generated
from quantlab.quantizer import Quantizer


def quantizers(network: nn.Module) -> dict[str, Quantizer]:
    """Return all quantizers of a network by dotted name, in the order of definition.

    Those of a generated weight's factors are not among them: they start with the factors, whose
    grids are the weight.
    """
    of_factors = {
        child
        for layer in network.modules()
        if is_generated(layer)
        for slot, child in layer.named_children()
        if slot not in EDGE_SLOTS
    }
    found = {name: m for name, m in network.named_modules() if isinstance(m, Quantizer)}
    return {name: m for name, m in found.items() if m not in of_factors}


def weight_layers(network: nn.Module) -> dict[str, nn.Module]:
    """Return the layers whose weight is quantized, by dotted name, in the order of definition.

    Raises UsageError if there is none, if a quantizer has not started, or if two of them share a
    weight, which would be on two grids.
    """
    found = {name: m for name, m in network.named_modules() if "weight" in carries(m)}
    if not found:
        raise UsageError("network: no weight has a quantizer; quantize(network, rules) first")
    owners: dict[nn.Parameter, str] = {}
    for name, layer in found.items():
        other = owners.setdefault(layer.get_parameter("weight"), name)
        if other != name:
            raise UsageError(f"{name}: the weight of '{other}' given, one of its own allowed")
        if not carries(layer)["weight"].is_enabled:
            raise UsageError(
                f"{name}.weight_quantizer: in the float stage; calibrate(network, batches) first"
            )
    return found


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put a network in evaluation mode, without gradients, and give each module its mode back."""
    was_training = {module: module.training for module in network.modules()}
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in was_training.items():
            module.training = mode


@contextmanager
def floating(chosen: Iterable[Quantizer]) -> Iterator[None]:
    """Put quantizers in the float stage, and give each its stage back."""
    was_enabled = {quantizer: quantizer.is_enabled for quantizer in chosen}
    for quantizer in was_enabled:
        quantizer.set_enabled(False)
    try:
        yield
    finally:
        for quantizer, is_enabled in was_enabled.items():
            quantizer.set_enabled(is_enabled)


def float_copy(network: nn.Module) -> nn.Module:
    """Return a copy of a network with all quantizers in the float stage: what it computes without.

    Make it before `adaround`, which puts the weights themselves on the grid.
    """
    made = copy.deepcopy(network)
    for quantizer in quantizers(made).values():
        quantizer.set_enabled(False)
        quantizer.set_observing(False)
    return made
