"""Which layers count bits."""

from collections.abc import Mapping

from quantlab.integer.layout.choice import are_ternary, padded_levels
from quantlab.integer.layout.levels import Levels
from quantlab.integer.layout.planes import Planes, planes_of
from quantlab.integer.layout.words import num_words
from quantlab.integer.operations import Convolution, Linear


def planes_read(layer: Convolution | Linear, levels: Mapping[str, Levels]) -> Planes | None:
    """Return the planes of a layer's input, its padding among them; None where a row for each
    weight is less: weights beyond -1, 0 and 1, or as many planes as channels.

    levels: of each tensor of the program.
    """
    if not are_ternary(layer):
        return None
    planes = planes_of(padded_levels(layer, levels[layer.inputs[0]]))
    channels = layer.weight.shape[1]
    return planes if planes.count * num_words(channels) < channels else None
