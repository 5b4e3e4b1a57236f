"""The factors that a layer begins with if nothing is known of its weight."""

import math

import torch
from torch import Tensor

from quantlab.generation.factor_quantizers import factor_quantizer
from quantlab.generation.factors import Factors
from quantlab.generation.shapes import FactorShapes
from quantlab.generation.spec import FactorName, MLGSpec


def fresh_factors(shapes: FactorShapes, spec: MLGSpec, deviation: Tensor) -> Factors:
    """Return normal numbers whose weight, behind the quantizers, has this standard deviation.

    All factors have the same deviation, so that steps of one learning rate suit them all. An
    element is a sum of R L products of independent numbers (see `shapes`):

        Var(W) = R L Var(V) Var(U) Var(B)

    deviation: [], of the type and on the device of the factors.
    """
    num_terms = shapes.basis[0] if shapes.coeff_out else 1
    num_terms *= shapes.coeff_in[2] if shapes.coeff_in else 1
    root = 1 / len(shapes.sizes)
    size = (deviation / math.sqrt(num_terms)) ** root
    drawn: dict[FactorName, Tensor | None] = {
        name: None if shape is None else deviation.new_empty(shape).normal_() * size
        for name, shape in shapes.by_name.items()
    }
    weight = Factors.of({name: _on_grid(spec, name, x) for name, x in drawn.items()}).generate()
    got = weight.square().mean().sqrt()
    ratio = torch.where(got > 0, deviation / got, torch.ones_like(got)) ** root
    return Factors.of({name: None if x is None else x * ratio for name, x in drawn.items()})


def _on_grid(spec: MLGSpec, name: FactorName, latent: Tensor | None) -> Tensor | None:
    quantizer = None if latent is None else factor_quantizer(spec, name, latent)
    return latent if quantizer is None else quantizer(latent)
