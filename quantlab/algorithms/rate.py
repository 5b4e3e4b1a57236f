"""The bits of quantized weights and factors behind an entropy coder, as a term of the loss.

Each element shares its unit between the two levels next to it, linearly. With the shares n_k of
level k, N elements in all, an ideal coder that knows how often each code occurs takes

    bits = sum_k n_k log2(N / n_k)

which is N times the entropy of the codes where all elements are on the grid (D. Oktay et al.,
Scalable Model Compression by Entropy Penalized Reparameterization, 2020, arXiv:1906.06624, equation
2, with the codes' own histogram as their probabilities). Where n_k < 1, n - n^2 stands for -n ln n:
it has its values at 0 and 1 and its slope at 1, but a finite slope at 0.

Backward, for an element at v between the levels k and k + 1 (0 beyond the last levels; at a level
itself, as in the interval above it):

    d bits / dv = l(k + 1) - l(k),  l(k) = -log2 n_k, where n_k < 1: (2 - 2 n_k) / ln 2

so that elements move towards the likelier neighbor. Scales are constants of this term, and learn
from the rest of the loss alone: otherwise the bits would pull at each scale with the sum over all
its elements, and coarser grids would be cheaper than more frequent codes. A scale that follows its
elements in each step is taken to be in proportion to their norm: it would follow elements that all
shrink, and no code would change, so the gradient has no such part.

Shares are summed as integers, to at least 38 bits for 2^24 elements: the sums are the same in any
order, on any device.

Shapes: K levels, R rows, C columns.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function

from quantlab.autograd import apply
from quantlab.errors import check_kind
from quantlab.numerics.granularity import reduced_axes
from quantlab.quantizer import Quantizer

_LEAST = 1e-8  # of a norm


@dataclass(frozen=True, kw_only=True)
class QuantizedWeight:
    """A parameter of a layer and its quantizer: a weight, or a factor of a generated one."""

    parameter: nn.Parameter
    quantizer: Quantizer


def quantized_weights(network: nn.Module) -> Iterator[QuantizedWeight]:
    """Yield the weights and factors that have a quantizer, each once, started or not."""
    seen: set[int] = set()
    for module in network.modules():
        for name, parameter in module._parameters.items():
            quantizer = module._modules.get(f"{name}_quantizer")
            if parameter is None or id(parameter) in seen or not isinstance(quantizer, Quantizer):
                continue
            seen.add(id(parameter))
            yield QuantizedWeight(parameter=parameter, quantizer=quantizer)


def num_quantized(network: nn.Module) -> int:
    """Return the number of elements of all weights and factors that have a quantizer."""
    return sum(one.parameter.numel() for one in quantized_weights(network))


def rate_of(network: nn.Module) -> Tensor:
    """Return the bits of all quantized weights and factors after entropy coding, [], with the
    module's gradient; 0 for those whose quantizer has not started. Never waits for the device.

    Raises UsageError for an argument that is no network.
    """
    check_kind("network", network, nn.Module, "a torch.nn.Module")
    bits = [
        code_bits(one.parameter, one.quantizer)
        for one in quantized_weights(network)
        if one.quantizer.is_enabled
    ]
    if bits:
        return torch.stack(bits).sum()
    parameter = next(network.parameters(), torch.zeros(()))
    return parameter.new_zeros(())


def code_bits(weight: Tensor, quantizer: Quantizer) -> Tensor:
    """Return the bits of the codes of a weight of any shape, [], in float32, or float64 if it is.

    All its codes share one histogram, whatever shares a scale.
    """
    levels = quantizer.spec.codes
    v = quantizer.positions(weight)
    if quantizer.is_observing:
        v = v * _follows(v, quantizer.scale_shape)
    places = level_places(v, levels)
    return apply(_SharedBits, places, len(levels))


def level_places(v: Tensor, levels: Sequence[int]) -> Tensor:
    """Return the places of positions among rising levels: k at level k, linear between two, those
    of the ends beyond them."""
    steps = {above - below for below, above in pairwise(levels)}
    if len(steps) <= 1:
        return ((v - levels[0]) / max(steps, default=1)).clamp(0, len(levels) - 1)
    shares = [((v - low) / (high - low)).clamp(0.0, 1.0) for low, high in pairwise(levels)]
    return torch.stack(shares).sum(0)


def shared_counts(below: Tensor, above_share: Tensor, num_levels: int) -> Tensor:
    """Return how many elements each level has, float64 [K].

    below: int64, of each element the level below, at most K - 2. above_share: what the level above
    it gets of the element, from 0 to 1; the level below gets the rest.
    """
    bits = 62 - below.numel().bit_length()  # so that no sum overflows
    above = (above_share * 2.0**bits).to(torch.int64).flatten()
    # Rows have counts of their own: additions to one address come one after another on a GPU.
    rows = below.shape[0] if below.ndim > 1 else 1
    if rows * num_levels > below.numel():
        rows = 1
    starts_R = torch.arange(0, rows * num_levels, num_levels, device=below.device)
    index = (below.reshape(rows, -1) + starts_R[:, None]).flatten()
    counts = torch.zeros(rows * num_levels, dtype=torch.int64, device=below.device)
    counts.scatter_add_(0, index, 2**bits - above)
    counts.scatter_add_(0, index + 1, above)
    return counts.reshape(rows, num_levels).sum(0).double() / 2.0**bits


def _follows(v: Tensor, scale_shape: Sequence[int]) -> Tensor:
    """Return ones with the gradient of 1 / norm, the norm being that of what shares a scale."""
    axes = reduced_axes(v.shape, scale_shape)
    norm: Tensor = torch.linalg.vector_norm(v, dim=axes, keepdim=True).clamp(min=_LEAST)
    return norm.detach() / norm


class _SharedBits(Function):
    """Bits of elements at places 0 to K - 1 among the levels."""

    @staticmethod
    def forward(ctx: Any, places: Tensor, num_levels: int) -> Tensor:
        if num_levels < 2 or not places.numel():
            ctx.save_for_backward(torch.zeros_like(places))
            return places.new_zeros(())
        known = places.nan_to_num(0.0)  # a NaN has no place, and the loss is one anyway
        whole = known.floor().clamp_(max=num_levels - 2)
        below = whole.to(torch.int64)
        counts_K = shared_counts(below, known - whole, num_levels)
        is_many, many_K = counts_K >= 1.0, counts_K.clamp(min=1.0)
        of_few = counts_K - counts_K.square()
        nats_K = torch.where(is_many, -many_K * many_K.log(), of_few)
        lengths_K = torch.where(is_many, -many_K.log(), 2.0 - 2.0 * counts_K) / math.log(2.0)
        slopes = lengths_K.diff().to(places.dtype)
        ctx.save_for_backward(slopes[below])
        bits = places.numel() * math.log2(places.numel()) + nats_K.sum() / math.log(2.0)
        return bits.to(places.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (slope,) = ctx.saved_tensors
        return grad * slope, None
