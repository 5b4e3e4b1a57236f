"""What the family tests need to know of an algorithm: its formulas, in NumPy."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.algorithms.layers import TARGETS, Target
from quantlab.quantizer import Quantizer

Array = NDArray[np.float64]


def no_parameters(x: Array, quantizer: Quantizer, grad: Array) -> dict[str, Array]:
    return {}


def midpoints(quantizer: Quantizer) -> Array:
    """Where codes change, in units of the scale, if each number goes to the nearest level."""
    codes = np.asarray(quantizer.spec.codes, dtype=np.float64)
    return (codes[1:] + codes[:-1]) / 2


@dataclass(frozen=True, kw_only=True)
class Case:
    """A setting of an algorithm.

    forward: y of x. gradient: dL/dx of x and dL/dy. parameter_gradients: dL/dp by the name of the
    quantizer's parameter p. ties: where codes change, less the zero point, in units of the scale,
    [K] or [K, *scale_shape]. by_target: settings for one kind of tensor.

    is_projection: in evaluation all numbers go to the grid, and those of the grid stay.
    is_clipping: some numbers get no gradient. is_learning: some do, and so weights move.
    """

    config: dict[str, Any]
    forward: Callable[[Array, Quantizer], Array]
    gradient: Callable[[Array, Quantizer, Array], Array]
    parameter_gradients: Callable[[Array, Quantizer, Array], dict[str, Array]] = no_parameters
    ties: Callable[[Quantizer], Array] = midpoints
    targets: tuple[Target, ...] = TARGETS
    by_target: Mapping[Target, dict[str, Any]] = field(default_factory=dict)
    is_projection: bool = True
    is_clipping: bool = True
    is_learning: bool = True

    def config_for(self, on: Target) -> dict[str, Any]:
        return {**self.config, **self.by_target.get(on, {})}


def steps(x: Array, quantizer: Quantizer) -> Array:
    """x in units of the scale."""
    return x / quantizer.scale.detach().numpy()


def bounds(quantizer: Quantizer) -> tuple[Array, Array]:
    """The ends of the grid in units of the scale, zero at 0."""
    zero_point = quantizer.zero_point.numpy().astype(np.float64)
    return quantizer.spec.quant_min - zero_point, quantizer.spec.quant_max - zero_point


def on_grid(x: Array, quantizer: Quantizer) -> Array:
    """The nearest number of the uniform grid."""
    low, high = bounds(quantizer)
    codes = np.clip(np.floor(steps(x, quantizer) + 0.5), low, high)
    return codes * quantizer.scale.detach().numpy()


def sum_to(x: Array, shape: tuple[int, ...]) -> Array:
    """The sums over the axes along which `shape` is 1, or over all for a scalar."""
    if not shape:
        return np.asarray(x.sum())
    axes = tuple(axis for axis, size in enumerate(shape) if size == 1)
    return x.sum(axes, keepdims=True)
