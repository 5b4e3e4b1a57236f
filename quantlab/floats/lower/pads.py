"""Numbers around and between those of a tensor."""

from collections.abc import Sequence

import numpy as np
from torch import fx

from quantlab.floats.functions import Function
from quantlab.floats.layout import View, places_of
from quantlab.floats.lower.state import State, layer_of
from quantlab.floats.operations import Elementwise, Fill


def spread(
    state: State,
    node: fx.Node,
    x: View,
    shape: Sequence[int],
    starts: Sequence[int],
    steps: Sequence[int],
    number: float,
) -> View:
    """Return a tensor of a shape that has another one's elements from `starts` on, `steps` apart
    along each axis, and a number everywhere else."""
    to = View(state.new(node, int(np.prod(shape))), places_of(shape))
    state.emit(Fill(output=to.array, layer=layer_of(node), number=number))
    inner = tuple(
        slice(start, start + (size - 1) * step + 1, step)
        for start, step, size in zip(starts, steps, x.shape, strict=True)
    )
    put(state, node, x, View(to.array, to.places[inner]))
    return to


def put(state: State, node: fx.Node, x: View, to: View) -> None:
    """Copy a tensor to places of an array."""
    order = np.argsort(to.places.reshape(-1))
    state.emit(
        Elementwise(
            output=to.array,
            layer=layer_of(node),
            input=x.array,
            function=Function("copy"),
            places=x.places.reshape(-1)[order],
            to_places=to.places.reshape(-1)[order],
        )
    )
