"""SparseComp's rule: densities of its published runs, and fragile layers."""

import numpy as np
import torch
from torch import nn

from quantlab.compression.byte_curve import ByteCurve
from quantlab.compression.importance import Importance
from quantlab.compression.largest_first import LargestFirst
from quantlab.compression.selection import Present


def present(sizes: dict[str, int], counts: dict[str, int] | None = None) -> Present:
    """Return layers of so many weights, whose bytes are as SparseComp counts them."""
    torch.manual_seed(0)
    layers = {name: nn.Linear(size // 10, 10, bias=False) for name, size in sizes.items()}
    return Present(
        layers=layers,
        weights={name: layer.weight.detach() for name, layer in layers.items()},
        counts=counts or sizes,
        curves={
            name: ByteCurve(
                counts=np.array([0, size // 2, size]),
                nbytes={8: np.array([0.0, 4.0 * size, 4.0 * size])},
            )
            for name, size in sizes.items()
        },
        importance=Importance(layers),
        weight_bits=(8,),
    )


def test_the_first_step_of_a_layer_leaves_the_published_density() -> None:
    """0.1 * 0.9^7 = 0.04782969, as the notebooks of the original print."""
    selection = LargestFirst().select(present({"a": 10_000, "b": 1_000}), 43_000.0)
    assert int(selection.masks["a"].sum()) == int(0.1 * 0.9**7 * 10_000)
    assert selection.masks["b"].all()
    assert selection.bits == {"a": 8, "b": 8}


def test_the_smallest_weights_go() -> None:
    given = present({"a": 10_000})
    (mask,) = LargestFirst().select(given, 30_000.0).masks.values()
    weight = given.weights["a"].abs()
    assert weight[mask].min() >= weight[~mask].max()


def test_a_layer_that_costs_five_points_is_left_to_others() -> None:
    rule = LargestFirst()
    rule.observe(90.0)
    rule.select(present({"a": 10_000, "b": 9_000}), 70_000.0)
    rule.observe(84.0)
    again = LargestFirst()
    again.load_state_dict(rule.state_dict())
    selection = again.select(present({"a": 10_000, "b": 9_000}), 70_000.0)
    assert selection.masks["a"].all()
    assert not selection.masks["b"].all()
