"""Which weights are kept, beside the formula in float64."""

import numpy as np
import torch
from torch import nn

from quantlab.compression.byte_curve import ByteCurve
from quantlab.compression.importance import Importance
from quantlab.compression.selection import Present
from quantlab.compression.sensitivity import Sensitivity


def present(layers: dict[str, nn.Linear], fisher: dict[str, torch.Tensor]) -> Present:
    """Return a network with a byte for each weight of 8 bits, and half of one for 4."""
    importance = Importance(layers)
    importance.load_state_dict({"num_steps": 10**6, **{f"of.{n}": f for n, f in fisher.items()}})
    counts = np.arange(7)
    curve = ByteCurve(counts=counts, nbytes={8: counts * 1.0, 4: counts * 0.5})
    return Present(
        layers=layers,
        weights={name: layer.weight.detach() for name, layer in layers.items()},
        counts=dict.fromkeys(layers, 6),
        curves=dict.fromkeys(layers, curve),
        importance=importance,
        weight_bits=(8,),
    )


def test_the_weights_of_the_least_cost_go_over_all_layers() -> None:
    torch.manual_seed(0)
    layers = {name: nn.Linear(3, 2, bias=False) for name in "ab"}
    fisher = {name: torch.rand(2, 3) for name in "ab"}
    selection = Sensitivity().select(present(layers, fisher), 7.0)
    costs = torch.cat([(fisher[n] * layers[n].weight.detach() ** 2).flatten() for n in "ab"])
    kept = torch.cat([selection.masks[n].flatten() for n in "ab"])
    assert kept.sum() == 7
    assert costs[kept].min() > costs[~kept].max()


def test_few_bits_are_taken_where_they_cost_less_than_weights() -> None:
    torch.manual_seed(0)
    layers = {"a": nn.Linear(3, 2, bias=False)}
    given = present(layers, {"a": torch.ones(2, 3)})
    for weight_bits, budget, expected in (((8, 4), 3.0, 4), ((8, 4), 6.0, 8)):
        chosen = Present(**{**vars(given), "weight_bits": weight_bits})
        assert Sensitivity().select(chosen, budget).bits == {"a": expected}
