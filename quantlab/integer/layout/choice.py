"""Which tensors and layers are worth planes of bits."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from quantlab.integer.bounds import Bound
from quantlab.integer.layout.levels import Levels, levels_of
from quantlab.integer.layout.moves import origin_of
from quantlab.integer.layout.planes import Planes, planes_of
from quantlab.integer.layout.words import num_words
from quantlab.integer.operations import Convolution, Linear
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S16, TensorType

_LEAST_FILLED = 0.5  # of the words of bits; with fewer channels bytes are as fast


@dataclass(frozen=True, kw_only=True)
class Elements:
    """A tensor as integers of its type, images with their channels last."""


def layouts(program: Program, most_planes: int = 1) -> Mapping[str, Elements | Planes]:
    """Return how each tensor lies: those that layers of binary or ternary weights read, through
    operations that only move elements, as at most `most_planes` planes; all others as elements.

    The padding of a convolution is among the levels of what it reads.
    """
    levels = dict(levels_of(program))
    read: set[str] = set()
    for layer in program.operations:
        if isinstance(layer, Convolution | Linear) and are_ternary(layer):
            (name,) = layer.inputs
            origins = {name, *origin_of(program, name).sources}
            read |= origins
            for origin in origins:
                levels[origin] = padded_levels(layer, levels[origin])
    found: dict[str, Elements | Planes] = {}
    for name in program.types:
        planes = planes_of(levels[name])
        is_few = name in read and planes.count <= most_planes
        found[name] = planes if is_few else Elements()
    return found


def padded_levels(layer: Convolution | Linear, levels: Levels) -> Levels:
    """Return the levels of a layer's input with its padding."""
    if isinstance(layer, Convolution) and layer.windows.is_padded:
        for code in np.unique(layer.padding_codes).tolist():
            levels = levels.including(code)
    return levels


def are_ternary(layer: Convolution | Linear) -> bool:
    """Return whether all weights are -1, 0 and 1."""
    return bool((np.abs(layer.weight.astype(np.int16)) <= 1).all())


def are_bits(operation: Convolution | Linear, given: TensorType, bound: Bound) -> bool:
    """Return whether a layer's inputs and weights are -1, 0 and 1 in words full enough."""
    if isinstance(operation, Convolution) and operation.groups > 1:
        return False
    codes = operation.padding_codes if isinstance(operation, Convolution) else np.zeros(1, np.int32)
    lowest = min(bound.lowest, int(operation.weight.min()), int(codes.min()))
    highest = max(bound.highest, int(operation.weight.max()), int(codes.max()))
    channels = num_channels(operation, given)
    is_full = channels >= _LEAST_FILLED * 64 * num_words(channels)
    return is_full and given.kind != S16 and lowest >= -1 and highest <= 1


def num_channels(operation: Convolution | Linear, given: TensorType) -> int:
    """Return how many inputs of a layer follow one another: an image's channels, else the last
    axis."""
    return given.shape[0] if isinstance(operation, Convolution) else given.shape[-1]
