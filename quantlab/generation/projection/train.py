"""Gradient descent on the error with the quantizers in the loop, as the published code projects.

    minimize   mean (W - generate(q(V), q(U), q(B)))^2
    q(x)       r c / n,  c the level nearest to n tanh(x) / r,  r = max |tanh(x)|,  n the largest
    1 bit      q(x) = mean |x| sign(x)

Backward dq/dx = 1 - tanh(x)^2 with r taken as constant, and 1 for one bit. RAdam with a rate of
2e-2 (L. Liu et al., On the variance of the adaptive learning rate, 2020, arXiv:1908.03265) from
random numbers of the published variances. The last steps oscillate: the best one is kept beside the
last.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from quantlab.generation.factors import Factors
from quantlab.generation.projection.equations import present
from quantlab.generation.projection.on_grid import Levels, OnGrid
from quantlab.generation.shapes import FactorShapes
from quantlab.generation.spec import FactorName
from quantlab.numerics.levels import nearest_level

STEPS = 3000
_RATE = 2e-2
_LEAST = 1e-8


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The step of the least error, and the last one."""

    best: OnGrid
    last: OnGrid


def train(
    weight: Tensor, shapes: FactorShapes, levels: Levels, *, seed: int, steps: int = STEPS
) -> Trained:
    """Return factors of a weight `[Co, Ci, S]`. levels: of each factor; seed: of the start."""
    latent = _start(weight, shapes, seed)
    names = present(latent)
    parameters = [getattr(latent, name).requires_grad_() for name in names]
    optimizer = torch.optim.RAdam(parameters, lr=_RATE)
    best = [parameter.detach().clone() for parameter in parameters]
    least = torch.full((), torch.inf, dtype=weight.dtype, device=weight.device)
    for step in range(steps + 1):
        with torch.enable_grad():
            on_grid = [
                _through(x, levels.get(name)) for name, x in zip(names, parameters, strict=True)
            ]
            loss = (_factors(names, on_grid).generate() - weight).square().mean()
        better = loss.detach() < least
        least = torch.where(better, loss.detach(), least)
        for kept, parameter in zip(best, parameters, strict=True):
            kept.copy_(torch.where(better, parameter.detach(), kept))
        if step < steps:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    last = [parameter.detach() for parameter in parameters]
    return Trained(best=_on_grid(names, best, levels), last=_on_grid(names, last, levels))


def _start(weight: Tensor, shapes: FactorShapes, seed: int) -> Factors:
    """Return random numbers with the variances of the published code: 2 / fan-out of each factor,
    the basis taken as a part of the weight."""
    generator = torch.Generator().manual_seed(seed)
    outputs, _, area = weight.shape

    def drawn(shape: Sequence[int], fan_out: int) -> Tensor:
        made = torch.randn(tuple(shape), generator=generator) * math.sqrt(2 / fan_out)
        return made.to(weight)

    coeff_out = coeff_in = None
    if shapes.coeff_out is not None:
        coeff_out = drawn(shapes.coeff_out, outputs)
    if shapes.coeff_in is not None:
        coeff_in = drawn(shapes.coeff_in, shapes.coeff_in[0] * shapes.coeff_in[2])
    basis = drawn((*shapes.basis[:2], area), outputs * area)
    return Factors(coeff_out=coeff_out, coeff_in=coeff_in, basis=basis)


def _through(x: Tensor, levels: Sequence[int] | None) -> Tensor:
    """Return q(x), with its gradient; x of a factor of floats."""
    if levels is None:
        return x
    squashed, scale = _squashed(x, levels)
    with torch.no_grad():
        change = nearest_level(squashed / scale, levels) * scale - squashed
    return squashed + change


def _squashed(x: Tensor, levels: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return what is rounded and the scale, which has no gradient."""
    if len(levels) == 2:
        return x, x.detach().abs().mean().clamp(min=_LEAST)
    squashed = torch.tanh(x)
    widest = squashed.detach().abs().max().clamp(min=_LEAST)
    return squashed, widest / max(abs(levels[0]), abs(levels[-1]))


def _factors(names: Sequence[FactorName], tensors: Sequence[Tensor]) -> Factors:
    made = dict(zip(names, tensors, strict=True))
    return Factors(
        coeff_out=made.get("coeff_out"), coeff_in=made.get("coeff_in"), basis=made["basis"]
    )


def _on_grid(names: Sequence[FactorName], numbers: Sequence[Tensor], levels: Levels) -> OnGrid:
    latent, codes, scales = [], [], {}
    for name, x in zip(names, numbers, strict=True):
        rounded, scale = x, x.new_ones(())
        if name in levels:
            squashed, scale = _squashed(x, levels[name])
            rounded = nearest_level(squashed / scale, levels[name])
            latent.append(squashed.double())
        else:
            latent.append(x.double())
        codes.append(rounded.double())
        scales[name] = scale.double()
    return OnGrid(codes=_factors(names, codes), scales=scales, latent=_factors(names, latent))
