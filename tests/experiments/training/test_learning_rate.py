"""Rates of all groups, by our schedules or torch's."""

import pytest
import torch
from torch import nn, optim
from torch.optim import lr_scheduler

from experiments.training.learning_rate import LearningRate
from experiments.training.lr_schedules import Constant, Linear


def sgd(*rates: float) -> optim.SGD:
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates]
    return optim.SGD(groups, lr=1.0)


def test_each_group_keeps_its_own_base() -> None:
    optimizer = sgd(0.1, 0.4)
    rate = LearningRate(optimizer, Linear())
    for epoch in (1.0, 5.0, 5.0):
        rate.on_step(epoch, 10.0)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.05, 0.2])
    assert rate.value == pytest.approx(0.05)
    rate.on_epoch_end(None)
    assert rate.value == pytest.approx(0.05)
    assert rate.state_dict() == {}
    rate.load_state_dict({})


def test_schedulers_of_torch_by_the_epoch_only() -> None:
    optimizer = sgd(1.0)
    rate = LearningRate(optimizer, lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5))
    seen = []
    optimizer.step()
    for epoch in range(5):
        rate.on_step(float(epoch), 10.0)
        seen.append(rate.value)
        rate.on_epoch_end(None)
    assert seen == [1.0, 1.0, 0.5, 0.5, 0.25]


def test_plateaus_need_a_target() -> None:
    optimizer = sgd(1.0)
    plateau = lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, factor=0.5)
    rate = LearningRate(optimizer, plateau)
    optimizer.step()
    for target in (None, 1.0, 2.0, None):
        rate.on_epoch_end(target)
    assert rate.value == 0.5


def test_state_round_trip() -> None:
    def make() -> tuple[optim.SGD, LearningRate]:
        optimizer = sgd(1.0)
        return optimizer, LearningRate(optimizer, lr_scheduler.ExponentialLR(optimizer, 0.5))

    optimizer, rate = make()
    optimizer.step()
    rate.on_epoch_end(None)
    resumed_optimizer, resumed = make()
    resumed_optimizer.step()
    resumed_optimizer.load_state_dict(optimizer.state_dict())
    resumed.load_state_dict(rate.state_dict())
    for each in (rate, resumed):
        each.on_epoch_end(None)
    assert rate.value == resumed.value == 0.25


def test_constant() -> None:
    rate = LearningRate(sgd(0.3), Constant())
    rate.on_step(3.0, 4.0)
    assert rate.value == 0.3


def test_a_rehearsal_meets_what_training_would() -> None:
    optimizer = sgd(1.0)
    short = lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=4)
    with pytest.raises(ValueError, match="number of total steps is 4"):
        LearningRate(optimizer, short).rehearse(5)
    enough = lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=4)
    LearningRate(optimizer, enough).rehearse(4)
    LearningRate(optimizer, lr_scheduler.ReduceLROnPlateau(optimizer)).rehearse(3)
    LearningRate(optimizer, Linear()).rehearse(3)
