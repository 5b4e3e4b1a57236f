"""The term that keeps the factors of a network near orthonormal ones."""

import torch
from torch import Tensor, nn

from quantlab.errors import check_kind
from quantlab.generation.layers import generated_layers, latents
from quantlab.generation.orthonormality import orthonormality
from quantlab.generation.precision import without_autocast


def orthonormality_of(network: nn.Module) -> Tensor:
    """Return the sum of `orthonormality` over all generated layers, []; 0 without any. Factors
    that layers share count once.

    It is about the numbers that are trained, before their quantizers.
    """
    check_kind("network", network, nn.Module, "a torch.nn.Module")
    terms = []
    owners = {layer.basis: layer for _, layer in generated_layers(network)}
    for layer in owners.values():
        factors = latents(layer)
        with without_autocast(factors.basis):
            terms.append(orthonormality(factors.coeff_out, factors.coeff_in, factors.basis))
    if terms:
        return torch.stack(terms).sum()
    parameter = next(network.parameters(), torch.zeros(()))
    return parameter.new_zeros(())
