"""What passes through the layers of a network on samples: shapes, and second moments of channels.

Shapes: G groups, c inputs and o outputs of a group, n places of all samples.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from quantlab.compression.layers import Layer
from quantlab.graphs.shapes import evaluating

_FLOOR = 1e-6  # of the largest eigenvalue: the least that an input counts
_BATCH = 128


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What a layer got and gave, over all its calls.

    input_shape: of one sample, without the batch. inputs_Gcc, outputs_Goo: sums of products of
    channels, in float64; outputs without the bias; None for the inputs of a Linear.
    """

    input_shape: tuple[int, ...]
    inputs_Gcc: Tensor | None
    outputs_Goo: Tensor


@dataclass(frozen=True, kw_only=True)
class Roots:
    """Symmetric square roots of moments, and their inverses."""

    root_Gcc: Tensor
    inverse_Gcc: Tensor


@torch.no_grad()
def observe(network: nn.Module, samples: Tensor) -> dict[nn.Module, Observed]:
    """Return what each Linear, Conv1d and Conv2d that is called gets and gives, in evaluation."""
    with evaluating(network), _noting(network) as observed:
        for batch in samples.split(_BATCH):
            network(batch)
    return observed


def roots(moments_Gcc: Tensor) -> Roots:
    """Return the roots of second moments. What varies hardly, or not at all, counts a little, so
    that the roots can be inverted."""
    values_Gc, vectors_Gcc = torch.linalg.eigh(moments_Gcc)
    least = (values_Gc.amax(1, keepdim=True) * _FLOOR).clamp(min=torch.finfo(torch.float64).tiny)
    root_Gc = values_Gc.maximum(least).sqrt()

    def of(scale_Gc: Tensor) -> Tensor:
        product: Tensor = (vectors_Gcc * scale_Gc[:, None]) @ vectors_Gcc.mT
        return product

    return Roots(root_Gcc=of(root_Gc), inverse_Gcc=of(1 / root_Gc))


@contextmanager
def _noting(network: nn.Module) -> Iterator[dict[nn.Module, Observed]]:
    observed: dict[nn.Module, Observed] = {}
    with ExitStack() as stack:
        for module in network.modules():
            if isinstance(module, Layer):
                handle = module.register_forward_hook(partial(_note, observed), with_kwargs=True)
                stack.callback(handle.remove)
        yield observed


def _note(
    observed: dict[nn.Module, Observed],
    layer: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    output: Tensor,
) -> None:
    (given,) = (*args, *kwargs.values())
    assert isinstance(layer, Layer)
    groups, axis, inputs = 1, -1, None
    if not isinstance(layer, nn.Linear):
        groups, axis = layer.groups, -len(layer.kernel_size) - 1
        inputs = _moments(given.movedim(axis, -1), groups)
    result = output.movedim(axis, -1)
    outputs = _moments(result if layer.bias is None else result - layer.bias, groups)
    before = observed.get(layer)
    if before is not None:
        outputs += before.outputs_Goo
        if inputs is not None and before.inputs_Gcc is not None:
            inputs += before.inputs_Gcc
    observed[layer] = Observed(
        input_shape=tuple(given.shape[1:]), inputs_Gcc=inputs, outputs_Goo=outputs
    )


def _moments(x: Tensor, groups: int) -> Tensor:
    """Return the sums over all but the last axis, of the channels."""
    x_Gnc = x.detach().double().flatten(0, -2).unflatten(1, (groups, -1)).transpose(0, 1)
    sums: Tensor = x_Gnc.mT @ x_Gnc
    return sums
