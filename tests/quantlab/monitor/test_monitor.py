"""When and what a monitor measures, and that it leaves no trace."""

import math

import pytest
import torch
from torch import Tensor, nn

from quantlab.controller import Alone, ReduceOp
from quantlab.errors import UsageError
from quantlab.monitor import Monitor, Reading
from quantlab.monitor.activation_distribution import ActivationDistributionConfig
from quantlab.monitor.batch_norm_factors import BatchNormFactorsConfig
from quantlab.monitor.gradient_distribution import GradientDistributionConfig
from quantlab.monitor.sqnr import SqnrConfig
from quantlab.monitor.update_ratio import UpdateRatioConfig
from quantlab.monitor.weight_norm import WeightNormConfig
from tests.quantlab.monitor.small import Training, make_batch, make_network, numbers, trained


class Counting(Alone):
    """Two ranks that hold the same; counts the reductions."""

    def __init__(self) -> None:
        super().__init__(size=2)
        object.__setattr__(self, "ops", [])

    def all_reduce(self, tensor: Tensor, op: ReduceOp) -> Tensor:
        assert tensor.ndim == 1
        assert tensor.numel()
        assert tensor.dtype == torch.float64
        self.ops.append(op)
        return tensor * 2 if op == "sum" else tensor.clone()


def num_hooks(network: nn.Module) -> int:
    return sum(
        len(getattr(module, name))
        for module in network.modules()
        for name in vars(module)
        if name.endswith("_hooks") and isinstance(getattr(module, name), dict)
    )


def test_names() -> None:
    reading = Reading(layer="features.conv1", stat="levels_used", part="weight/used", value=3.0)
    assert reading.name == "levels_used/weight/used"
    assert reading.tag == "levels_used/features.conv1/weight/used"
    own = Reading(layer="", stat="weight_norm", part="", value=3.0)
    assert (own.name, own.tag) == ("weight_norm", "weight_norm")


def test_hooks_are_there_while_something_is_due() -> None:
    network, controllers = make_network()
    monitor = Monitor(network)
    monitor.add(SqnrConfig(period=2, start=1))
    monitor.add(GradientDistributionConfig(period=4))
    seen = []
    network.conv.register_forward_pre_hook(lambda *_: seen.append(num_hooks(network) - 1))
    training = Training(network=network, controllers=controllers, monitor=monitor)
    for step in range(6):
        training.run([make_batch(step)])
        assert num_hooks(network) == 1
    assert seen == [2, 3, 0, 3, 2, 3]
    assert [bool(found) for found in training.readings] == [True, False, False, True, True, True]


def test_what_is_not_due_is_not_measured() -> None:
    readings = trained(
        WeightNormConfig(period=3), UpdateRatioConfig(period=2, start=1, select="conv")
    ).readings
    assert [[(r.stat, r.layer) for r in found] for found in readings] == [
        [("weight_norm", "conv"), ("weight_norm", "linear")],
        [("update_ratio", "conv")],
        [],
        [("weight_norm", "conv"), ("weight_norm", "linear"), ("update_ratio", "conv")],
    ]


def test_overlapping_entries_measure_once() -> None:
    (found,) = trained(
        WeightNormConfig(), WeightNormConfig(select="conv", period=1), num_steps=1
    ).readings
    assert sorted(r.tag for r in found) == ["weight_norm/conv", "weight_norm/linear"]


def test_an_abandoned_step_is_forgotten() -> None:
    network, _ = make_network()
    monitor = Monitor(network)
    monitor.add(ActivationDistributionConfig(period=1))
    monitor.start_step(0)
    network(make_batch(0)[0])
    monitor.start_step(0)
    assert num_hooks(network) == 2
    assert monitor.end_step() == []
    assert num_hooks(network) == 0
    assert monitor.end_step() == []


def test_two_reductions_whatever_is_measured() -> None:
    network, controllers = make_network()
    monitor = Monitor(network)
    for config in (SqnrConfig, WeightNormConfig, ActivationDistributionConfig):
        monitor.add(config(period=2))
    both = Counting()
    training = Training(network=network, controllers=controllers, monitor=monitor)
    for step in range(4):
        training.communicator = Alone()
        monitor.start_step(step)
        network(make_batch(step)[0])
        monitor.end_step(both)
    assert both.ops == ["max", "sum"] * 2


def test_no_reduction_of_nothing() -> None:
    network, controllers = make_network()
    both = Counting()
    for config, ops in ((WeightNormConfig(), ["max"]), (SqnrConfig(), ["max", "sum"])):
        monitor = Monitor(network)
        monitor.add(config)
        monitor.start_step(0)
        monitor.end_step(both)
        assert both.ops == ops
    del controllers


@pytest.mark.parametrize(
    ("others", "last", "message"),
    [
        ([], SqnrConfig(select="con"), "select: 'con' matches no layer .*; did you mean 'conv'"),
        (
            [WeightNormConfig()],
            WeightNormConfig(period=3),
            "selects the same layers for it already",
        ),
        (
            [WeightNormConfig(select="conv"), WeightNormConfig(select="linear")],
            WeightNormConfig(select="first", start=3),
            "select: 'first' given for weight_norm, but 'conv' selects the same",
        ),
    ],
)
def test_what_cannot_be_added(
    others: list[WeightNormConfig], last: SqnrConfig, message: str
) -> None:
    network, _ = make_network()
    monitor = Monitor(network)
    for other in others:
        monitor.add(other)
    with pytest.raises(UsageError, match=message):
        monitor.add(last)
    assert monitor.stats == ["weight_norm"] * bool(others)


def test_a_network_that_is_a_layer_itself() -> None:
    network = nn.Linear(2, 2)
    monitor = Monitor(network)
    monitor.add(WeightNormConfig())
    monitor.start_step(0)
    (found,) = monitor.end_step()
    assert found.tag == "weight_norm"
    assert found.value == pytest.approx(float(network.weight.detach().norm()))


def test_frozen_parts_are_measured_too() -> None:
    network, _ = make_network(())
    network.requires_grad_(False)
    monitor = Monitor(network)
    for config in (UpdateRatioConfig, GradientDistributionConfig, BatchNormFactorsConfig):
        monitor.add(config())
    monitor.start_step(0)
    network(make_batch(0)[0])
    found = numbers(monitor.end_step())
    assert found["update_ratio/conv"] == 0.0
    assert not any(tag.startswith("gradient") for tag in found)
    assert all(math.isfinite(value) for value in found.values())
