"""Leaves: the modules that stay whole when a network becomes a graph."""

import inspect

from torch import nn

from quantlab.graphs.operations import Operation
from quantlab.quantizer import Quantizer

# Where a layer has its quantizers.
EDGE_SLOTS = ("input_quantizer", "output_quantizer")
SLOTS = ("weight_quantizer", *EDGE_SLOTS)

_CONTAINERS = (nn.Module, nn.Sequential, nn.ModuleList, nn.ModuleDict)


def is_leaf(
    module: nn.Module, leaves: tuple[type[nn.Module], ...] = (), *, keeps_modes: bool = True
) -> bool:
    """Return whether tracing calls `module` instead of looking inside.

    So it does with layers (see `is_layer`), and, where it keeps modes, with modules without
    submodules whose forward pass looks at `self.training`: inside, the answer of the moment would
    be written down.
    """
    follows_mode = not module._modules and reads_training(type(module).forward)
    return is_layer(module, leaves) or (keeps_modes and follows_mode)


def is_layer(module: nn.Module, leaves: tuple[type[nn.Module], ...] = ()) -> bool:
    """Return whether a module is a layer of torch.nn or inherits from one, is a quantizer, carries
    quantizers, is an operation, or of a type in `leaves`."""
    is_type = isinstance(module, (*leaves, Operation, Quantizer))
    return is_type or _is_torchs(module) or any(slot in module._modules for slot in SLOTS)


def reads_training(function: object) -> bool:
    """Return whether the code of a function names an attribute `training`."""
    code = getattr(inspect.unwrap(function), "__code__", None) if callable(function) else None
    return code is not None and "training" in code.co_names


def has_own_forward(module: nn.Module) -> bool:
    """Return whether a module's class brings a forward pass that neither torch nor this library
    knows, whatever it inherits from."""
    return not type(module).forward.__module__.startswith(("torch.nn.", "quantlab."))


def _is_torchs(module: nn.Module) -> bool:
    """Return whether the nearest class from torch.nn is a layer rather than a container."""
    for cls in type(module).__mro__:
        if cls.__module__.startswith("torch.nn."):
            return cls not in _CONTAINERS
    return False
