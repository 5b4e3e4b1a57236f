from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from quantlab.monitor import Monitor
from quantlab.monitor.sign_flips import SignFlipsConfig
from tests.quantlab.monitor.small import Rules, Training, array, make_batch, make_network, numbers


def test_signs() -> None:
    network = nn.Linear(6, 1)
    monitor = Monitor(network)
    monitor.add(SignFlipsConfig())
    network.weight.data = torch.tensor([[1.0, -1.0, 1.0, 0.0, 0.0, -1e-30]])
    monitor.start_step(0)
    network.weight.data = torch.tensor([[-1.0, 1.0, 2.0, 1.0, 0.0, 1e-30]])
    assert numbers(monitor.end_step()) == {"sign_flips/sign": pytest.approx(3 / 6)}


@pytest.mark.parametrize(
    "algorithm",
    [
        {"kind": "ste", "num_bits": 3},
        {"kind": "ste", "num_bits": 2, "granularity": "per_tensor"},
        {"kind": "lsq", "num_bits": 3},
        {"kind": "dorefa", "num_bits": 2},
    ],
    ids=lambda algorithm: str(algorithm["kind"]),
)
def test_codes_are_those_of_the_forward_passes(algorithm: dict[str, object]) -> None:
    """What the quantizer gave in one step and in the next, be it that its grid moved meanwhile."""
    rules: Rules = [("*", "weight", algorithm)]
    network, controllers = make_network(rules)
    monitor = Monitor(network)
    monitor.add(SignFlipsConfig(period=1))
    training = Training(network=network, controllers=controllers, monitor=monitor)
    training.optimizer.param_groups[0]["lr"] = 1.0
    passes: list[Tensor] = []
    quantizer = training.quantizer("linear", "weight")
    quantizer.register_forward_hook(
        lambda q, inputs, output: passes.append(quantizer.codes(inputs[0]))
    )
    signs = []
    for step in range(7):
        signs.append(np.sign(array(network.linear.weight)))
        training.run([make_batch(step)])
    flipped = [(before * after < 0).mean() for before, after in pairwise(signs)]
    changed = [(array(before) != array(after)).mean() for before, after in pairwise(passes)]
    assert max(changed[2:]) > 0
    assert max(flipped) > 0
    found = [numbers(readings) for readings in training.readings]
    assert [f["sign_flips/linear/sign"] for f in found[:-1]] == pytest.approx(flipped)
    assert [f.get("sign_flips/linear/code") for f in found[:2]] == [None, None]
    assert [f["sign_flips/linear/code"] for f in found[2:-1]] == pytest.approx(changed[2:])
