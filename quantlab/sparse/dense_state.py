"""The state of a pruned network for the dense one: to quantize and deploy what was trained so."""

from collections.abc import Mapping
from math import prod

from torch import Tensor

from quantlab.graphs.paths import join


def dense_state(
    state: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Tensor]:
    """Return a state with the weights of sparse layers, and of layers with masks, among zeros.

    shapes: of the dense network's entries, by name. What does not fit these stays as it is, and so
    do entries that the dense network has too.
    """
    found = dict(state)
    for name in state:
        path, _, entry = name.rpartition(".")
        weight = join(path, "weight")
        if name in shapes:
            continue
        if entry == "indices" and weight in state and weight in shapes:
            values, places = state[weight], state[name]
            if values.shape != places.shape or not _is_within(places, shapes[weight]):
                continue
            dense = values.new_zeros(prod(shapes[weight]))
            dense[places] = values
            found[weight] = dense.reshape(shapes[weight])
            del found[name]
        elif entry == "weight_mask" and (original := join(path, "weight_orig")) in state:
            found[weight] = state[original] * state[name]
            del found[name], found[original]
    return found


def _is_within(places: Tensor, shape: tuple[int, ...]) -> bool:
    return places.numel() == 0 or bool(
        (places.min() >= 0).logical_and(places.max() < prod(shape)).item()
    )
