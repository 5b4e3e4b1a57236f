import math

import pytest
import torch

from quantlab.monitor import Monitor
from quantlab.monitor.update_ratio import UpdateRatioConfig
from tests.quantlab.monitor.small import Training, array, make_batch, make_network, numbers, trained


def test_it_is_how_far_the_step_went() -> None:
    network, controllers = make_network()
    monitor = Monitor(network)
    monitor.add(UpdateRatioConfig(period=1))
    training = Training(network=network, controllers=controllers, monitor=monitor)
    for step in range(4):
        before = array(network.linear.weight).copy()
        found = numbers(training.run([make_batch(step)]))
        moved = array(network.linear.weight) - before
        expected = math.sqrt((moved**2).sum() / (before**2).sum())
        assert found["update_ratio/linear"] == pytest.approx(expected, rel=1e-6)
        assert expected > 1e-4


def test_no_step_is_zero_and_no_weights_are_no_number() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    torch.nn.init.zeros_(network[1].weight)
    monitor = Monitor(network)
    monitor.add(UpdateRatioConfig())
    monitor.start_step(0)
    found = numbers(monitor.end_step())
    assert found["update_ratio/0"] == 0.0
    assert math.isnan(found["update_ratio/1"])


def test_a_step_is_seen_once() -> None:
    """The ratio is of one step, not of all since the last that was measured."""
    every = trained(UpdateRatioConfig(period=1)).readings
    some = trained(UpdateRatioConfig(period=3)).readings
    assert some[3] == every[3]
