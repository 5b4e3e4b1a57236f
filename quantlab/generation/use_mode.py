"""The mode in which the generated layers of a network are trained and evaluated."""

import math
from typing import Literal, get_args

from torch import nn

from quantlab.errors import UsageError, check_kind, did_you_mean
from quantlab.generation.layers import Generated, MLGConv2d, generated_layers, viewed_shape
from quantlab.generation.modes import Mode, Window, check_mode, modes_of
from quantlab.generation.multiplications import multiplications
from quantlab.generation.shapes import FactorShapes, factor_shapes

ModeChoice = Literal[Mode, "auto"]

_PLACES = 1024  # of a step, over which the work for a weight is spread: 64 samples of 4 x 4 pixels
_DEPTHWISE = 30  # what a multiplication of the depthwise stage costs of those of a wide one
_BETWEEN = 50  # what a number between two stages costs, written and read, forward and backward


def use_mode(network: nn.Module, mode: ModeChoice) -> dict[str, Mode]:
    """Let the generated layers of a network compute in a mode, in place; return that of each.

    mode: as of `modes`; `auto`: the cheapest of each layer, see `cheapest_mode`.

    Raises UsageError, with the network untouched, for another mode, and for a layer that does not
    have it.
    """
    check_kind("network", network, nn.Module, "a torch.nn.Module")
    choices = get_args(ModeChoice)
    if not isinstance(mode, str) or mode not in choices:
        raise UsageError(
            f"mode: {mode!r} given, {', '.join(choices)} allowed{did_you_mean(str(mode), choices)}"
        )
    layers = dict(generated_layers(network))
    chosen: dict[str, Mode] = {}
    for name, layer in layers.items():
        chosen[name] = chosen_mode(layer, mode)
        try:
            check_mode(_shapes(layer), chosen[name])
        except UsageError as error:
            raise UsageError(f"layer '{name}': {error}") from error
    for name, layer in layers.items():
        layer.mode = chosen[name]
    return chosen


def chosen_mode(layer: Generated, choice: ModeChoice) -> Mode:
    """Return the mode of a layer under a choice."""
    return cheapest_mode(layer) if choice == "auto" else choice


def cheapest_mode(layer: Generated) -> Mode:
    """Return the mode in which a training step of a layer is the cheapest, by a model of its cost.

    Nothing is measured: it follows from the layer alone, so that all processes, and a run that is
    resumed, have the same. Multiplications of wide stages have the price 1; the model gives
    those of the depthwise stage, and the numbers between stages, prices that were measured for
    ResNet-18 on a processor (`benchmarks/generation_training.py`).
    """
    shapes = _shapes(layer)
    return min(modes_of(shapes), key=lambda mode: _cost(layer, shapes, mode))


def _cost(layer: Generated, shapes: FactorShapes, mode: Mode) -> int:
    bases, kernels, *sides = shapes.basis
    area, window = math.prod(sides), Window()
    read = _PLACES * area  # numbers of a linear layer's blocks
    if isinstance(layer, MLGConv2d):
        window = Window.of(layer)
        read = _PLACES * math.prod(window.stride)
    each = window.groups if shapes.coeff_out is not None else 1
    cost = multiplications(shapes, mode, num_inputs=read, num_outputs=_PLACES, groups=window.groups)
    if mode != "generated" and shapes.coeff_out is not None:
        cost += _BETWEEN * each * bases * _PLACES
    if mode == "factored" and shapes.coeff_in is not None:
        channels = each * bases * kernels
        cost += _BETWEEN * channels * read + (_DEPTHWISE - 1) * channels * area * _PLACES
    return cost


def _shapes(layer: Generated) -> FactorShapes:
    return factor_shapes(viewed_shape(layer, layer.spec), layer.spec)
