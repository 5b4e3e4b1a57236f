"""A network that begins where another one ended, whatever either's weights are made of."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from quantlab.algorithms.layers import carries, through
from quantlab.errors import UsageError
from quantlab.generation.layers import (
    FACTORS,
    MLGConv2d,
    MLGLinear,
    generated_layers,
    projection_for,
    set_projection,
)
from quantlab.generation.projected import ProjectedFactors
from quantlab.generation.projection import Method
from quantlab.graphs.paths import join
from quantlab.graphs.select import quantizable_layers
from quantlab.graphs.weights import weight_of
from quantlab.quantizer import Quantizer


@torch.no_grad()
def dense_weights(network: nn.Module) -> dict[str, Tensor]:
    """Return the state of a network as that of a float one: each layer's weight as it computes with
    it, generated or behind its quantizer, and no quantizers."""
    found = {name: tensor.detach() for name, tensor in _own_state(network)}
    weights = {
        layer: through(carries(layer).get("weight"), weight_of(layer))
        for layer in quantizable_layers(network).values()
        if isinstance(getattr(layer, "weight", None), Tensor)
    }
    for name, module in network.named_modules(remove_duplicate=False):
        if module in weights:
            found[join(name, "weight")] = weights[module]
    return found


def check_inherits(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Raise UsageError unless the weights of another network fit this one; see `inherit`."""
    allowed = {name: tuple(tensor.shape) for name, tensor in _own_state(network)}
    for name, layer in generated_layers(network):
        allowed[join(name, "weight")] = tuple(layer.weight.shape)
    for name, shape in allowed.items():
        if name not in weights:
            raise UsageError(f"no '{name}' given, one of {list(shape)} allowed")
        given = tuple(weights[name].shape)
        if given != shape:
            raise UsageError(f"'{name}' of {list(given)} given, of {list(shape)} allowed")


@torch.no_grad()
def inherit(
    network: nn.Module, weights: Mapping[str, Tensor], *, method: Method, seed: int = 0
) -> dict[str, float]:
    """Give a network the weights of another one, of `dense_weights`, in place: generated layers
    their projection, all else as it is. Return the relative error of each projection.

    Parameters stay the objects they were. Raises UsageError for weights of other names or
    shapes, or that cannot be projected, with the network untouched.
    """
    check_inherits(network, weights)
    layers = dict(generated_layers(network))
    first: dict[nn.Parameter, str] = {}
    owners = {name: first.setdefault(layer.basis, name) for name, layer in layers.items()}
    made: dict[str, ProjectedFactors] = {}
    for name in first.values():
        layer = layers[name]
        dense = weights[join(name, "weight")].to(layer.basis)
        try:
            made[name] = projection_for(layer, dense, layer.spec, method=method, seed=seed)
        except UsageError as error:
            raise UsageError(f"{name}: {error}") from error
    _check_shared(owners, weights)
    for name, tensor in _own_state(network):
        tensor.copy_(weights[name])
    errors = {
        name: set_projection(layers[name], weights[join(name, "weight")], factors)
        for name, factors in made.items()
    }
    return {name: errors[owner] for name, owner in owners.items()}


def _check_shared(owners: Mapping[str, str], weights: Mapping[str, Tensor]) -> None:
    """Raise UsageError for layers that share factors, but whose weights are not the same. owners:
    for each layer the first one that has its factors."""
    for name, owner in owners.items():
        if not torch.equal(weights[join(name, "weight")], weights[join(owner, "weight")]):
            raise UsageError(
                f"{name}: another weight than that of '{owner}' given, with which it shares its "
                "factors; the same allowed"
            )


def _own_state(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield the parameters and buffers of a state but those of quantizers and factors."""
    modules = dict(network.named_modules(remove_duplicate=False))
    generated = {name for name, m in modules.items() if isinstance(m, MLGConv2d | MLGLinear)}
    quantizers = tuple(f"{name}." for name, m in modules.items() if isinstance(m, Quantizer))
    for name, tensor in network.state_dict(keep_vars=True).items():
        path, _, entry = name.rpartition(".")
        is_factor = path in generated and entry in FACTORS
        if not is_factor and not name.startswith(quantizers):
            yield name, tensor
