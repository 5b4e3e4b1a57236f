"""Layers of a network by name, and others in their place."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import nn

from quantlab.errors import UsageError, did_you_mean
from quantlab.graphs.paths import join

DenseLayer = nn.Linear | nn.Conv2d

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def dense_layers(network: nn.Module) -> dict[str, DenseLayer]:
    """Return the Linear and Conv2d layers and those of subclasses by dotted name, in the order of
    definition, each once. Raises UsageError if there is none."""
    layers = {name: m for name, m in network.named_modules() if isinstance(m, DenseLayer)}
    if not layers:
        raise UsageError(f"network: {type(network).__name__} has no Linear and no Conv2d layer")
    return layers


def dense_layer(network: nn.Module, name: str, setting: str) -> DenseLayer:
    """Return the layer of a name, any of those that a shared one has.

    setting: who asks, for errors. Raises UsageError if there is no such layer.
    """
    modules = network.named_modules(remove_duplicate=False)
    named = {path: m for path, m in modules if isinstance(m, DenseLayer)}
    if name not in named:
        hint = did_you_mean(name, named) or "; the name of a Linear or Conv2d layer allowed"
        raise UsageError(f"{setting}: unknown layer '{name}'{hint}")
    return named[name]


def obstacle(
    network: nn.Module,
    layer: nn.Module,
    allowed: tuple[type[nn.Module], ...] = (nn.Linear, nn.Conv2d),
) -> str | None:
    """Return why a layer cannot be replaced by one that computes the same, None if it can.

    allowed: the classes that can. A subclass may compute something else; hooks would be lost, and
    so would ties to a parameter of another module. (A module that stands at several places is no
    obstacle.)
    """
    if type(layer) not in allowed:
        names = " or ".join(cls.__name__ for cls in allowed)
        return f"a {type(layer).__name__} is more than a {names}"
    if has_hooks(layer):
        return "it has hooks, which would be lost"
    tie = _tie(network, layer)
    if tie is not None:
        return f"it shares a parameter with '{tie}'"
    readers = (m for m in network.modules() if isinstance(m, nn.TransformerEncoderLayer))
    if any(layer in reader.children() for reader in readers):
        # In evaluation it hands the weights of its layers to a kernel, and calls none of them.
        return "a TransformerEncoderLayer reads its weight itself"
    return None


def has_hooks(module: nn.Module) -> bool:
    """Return whether anything else runs when a module is called, but for hooks that say of
    themselves `is_of_parameters`: these change neither inputs nor outputs."""
    hooks = (hook for table in _HOOKS for hook in vars(module)[table].values())
    return any(not getattr(hook, "is_of_parameters", False) for hook in hooks)


def replace_modules(network: nn.Module, replacements: Mapping[nn.Module, nn.Module]) -> nn.Module:
    """Put modules in the place of others, wherever these stand in the network, in place.

    Returns the network, or its replacement if it is itself replaced.
    """
    for parent in list(network.modules()):
        for name, child in parent._modules.items():
            if child is not None and child in replacements:
                parent._modules[name] = replacements[child]
    return replacements.get(network, network)


@contextmanager
def standing_in(network: nn.Module, layer: nn.Module, other: nn.Module) -> Iterator[nn.Module]:
    """Put a module in the place of another one for as long as the context lasts."""
    changed = replace_modules(network, {layer: other})
    try:
        yield changed
    finally:
        replace_modules(changed, {other: layer})


def _tie(network: nn.Module, layer: nn.Module) -> str | None:
    """Return the path of another module's parameter that is one of the layer's."""
    own = {id(parameter) for parameter in layer.parameters(recurse=False)}
    for path, module in network.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if module is not layer and id(parameter) in own:
                return join(path, name)
    return None
