"""A network that begins where another one ended, whatever either's weights are made of."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from quantlab.algorithms.layers import carries, through
from quantlab.errors import UsageError
from quantlab.generation.layers import FACTORS, generated_layers, projection_for, set_projection
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
    for name, layer in quantizable_layers(network).items():
        if isinstance(getattr(layer, "weight", None), Tensor):
            found[join(name, "weight")] = through(carries(layer).get("weight"), weight_of(layer))
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
    dense = {layer: weights[join(name, "weight")] for name, layer in generated_layers(network)}
    made: dict[str, ProjectedFactors] = {}
    for name, layer in generated_layers(network):
        try:
            made[name] = projection_for(
                layer, dense[layer].to(layer.basis), layer.spec, method=method, seed=seed
            )
        except UsageError as error:
            raise UsageError(f"{name}: {error}") from error
    for name, tensor in _own_state(network):
        tensor.copy_(weights[name])
    return {
        name: set_projection(layer, dense[layer], made[name])
        for name, layer in generated_layers(network)
    }


def _own_state(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield the parameters and buffers of a state but those of quantizers and factors."""
    generated = {name for name, _ in generated_layers(network)}
    quantizers = tuple(f"{n}." for n, m in network.named_modules() if isinstance(m, Quantizer))
    for name, tensor in network.state_dict(keep_vars=True).items():
        path, _, entry = name.rpartition(".")
        is_factor = path in generated and entry in FACTORS
        if not is_factor and not name.startswith(quantizers):
            yield name, tensor
