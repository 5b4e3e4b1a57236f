"""Weights of layers in a graph: which may be changed, and changing them."""

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.parametrize import is_parametrized

from quantlab.errors import UsageError
from quantlab.graphs.leaves import SLOTS
from quantlab.graphs.slots import applied

LAYERS = (nn.Conv1d, nn.Conv2d, nn.Linear)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d)


def is_linear(layer: nn.Module) -> bool:
    """Return whether a layer computes `weight * x + bias` of its class: not if it has a forward
    pass of its own (but for quantizers), nor if its weight is itself computed."""
    carries = all(slot in layer._modules for slot in SLOTS)
    is_usual = any(type(layer).forward is cls.forward for cls in LAYERS)
    return (is_usual or carries) and layer._parameters.get("weight") is not None


def weight_of(layer: nn.Module) -> Tensor:
    """Return the weight that a layer computes with, before its quantizer: a parameter, or what it
    computes from others at this moment."""
    weight = getattr(layer, "weight", None)
    assert isinstance(weight, Tensor)
    return weight


def is_generated(layer: nn.Module) -> bool:
    """Return whether a layer's class computes its weight from other parameters, and owns none; a
    parametrization of torch's can be removed instead."""
    is_computed = isinstance(getattr(type(layer), "weight", None), property)
    return is_computed and not is_parametrized(layer, "weight")


def refusal_of_generated(path: str) -> str:
    """Return what is said where a layer needs a weight of its own."""
    return (
        f"layer '{path}': its weight is generated from factors, a weight of its own allowed here; "
        "integer programs (lower, main.py export) and packs (make_pack, main.py generate) take "
        "factors of 8 bits or fewer, or start a dense network from its weights (dense_weights, "
        "network.pretrained)"
    )


def check_not_generated(layer: nn.Module, path: str) -> None:
    """Raise UsageError, with what can be done, if a layer's weight is generated."""
    if is_generated(layer):
        raise UsageError(refusal_of_generated(path))


def output_axis(layer: nn.Module) -> int:
    """Return the axis of a layer's weight along which its outputs lie, those of one group."""
    return 1 if isinstance(layer, TRANSPOSED) else 0


def num_outputs(layer: nn.Module) -> int:
    """Return how many outputs a layer has: features, or channels."""
    weight = weight_of(layer)
    groups = layer.groups if isinstance(layer, TRANSPOSED) else 1
    return weight.shape[output_axis(layer)] * groups


def check_own_weight(layer: nn.Module, path: str) -> None:
    """Raise UsageError, with the call that undoes it, if a layer's weight is computed from other
    parameters: by weight or spectral norm, another parametrization, or pruning masks."""
    name = f'network.get_submodule("{path}")'
    if is_parametrized(layer, "weight"):
        kind = "a parametrization"
        call = f'torch.nn.utils.parametrize.remove_parametrizations({name}, "weight")'
    elif "weight_orig" in layer._parameters and "weight_mask" in layer._buffers:
        kind, call = "torch.nn.utils.prune", f'torch.nn.utils.prune.remove({name}, "weight")'
    elif "weight_orig" in layer._parameters:
        kind, call = "spectral_norm", f"torch.nn.utils.remove_spectral_norm({name})"
    elif {"weight_g", "weight_v"} <= layer._parameters.keys():
        kind, call = "weight_norm", f"torch.nn.utils.remove_weight_norm({name})"
    else:
        return
    raise UsageError(
        f"layer '{path}': a weight computed by {kind} given, a parameter of its own allowed; call "
        f"{call} first"
    )


def check_unquantized(what: str, path: str, layer: nn.Module, *, is_last: bool = False) -> None:
    """Raise UsageError if a layer's weight or output passes through a quantizer within it; its
    input if it is the last of what is changed."""
    outer = "output_quantizer" if is_last else "input_quantizer"
    for slot in sorted(applied(layer).keys() - {outer}):
        raise UsageError(
            f"{what}: layer '{path}' has a {slot}, which was made for the weights as they are; "
            f"{what} first, quantize then"
        )


def put(gm: fx.GraphModule, layer: nn.Module, name: str, value: Tensor) -> bool:
    """Make `value` a parameter of a layer, in the type of its weight.

    The parameter stays the object that it is, unless another layer has it too: then this one gets
    one of its own. Returns whether it does.
    """
    weight, old = layer.get_parameter("weight"), layer._parameters.get(name)
    is_shared = old is not None and num_owners(gm, old) > 1
    with torch.no_grad():
        if old is not None and not is_shared:
            old.copy_(value)
        else:
            new = value.to(weight.device, weight.dtype)
            layer.register_parameter(name, nn.Parameter(new, weight.requires_grad))
    return is_shared


def num_owners(gm: fx.GraphModule, parameter: nn.Parameter) -> int:
    """Return how many places in a network have a parameter."""
    return sum(own is parameter for m in gm.modules() for own in m._parameters.values())
