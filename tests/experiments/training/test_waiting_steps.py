"""What a run does in each step never waits for a GPU, so that it can be captured."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from experiments.training.ema import EmaWeights
from experiments.training.learning_rate import LearningRate
from experiments.training.loss import _OF_CLASSES, _OF_EQUAL_SHAPES
from experiments.training.loss_curve import LossCurve
from experiments.training.lr_schedules import Cosine
from experiments.training.precision import Precision
from experiments.training.train_metrics import TrainMetrics
from problems.images.meter import ClassificationMeter
from quantlab.algorithms.eager_optimizer import eager
from quantlab.exits import joint_loss
from tests.waiting import DEVICE, no_waiting

NUM_CLASSES = 6
INPUTS, CLASSES = torch.rand(5, 2, 6, 6), torch.arange(5)
OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "sgd": lambda p: eager(torch.optim.SGD)(p, 0.1, momentum=0.9, weight_decay=1e-4, foreach=True),
    "adamw": lambda p: eager(torch.optim.AdamW)(p, 0.01, foreach=True),
    "rmsprop": lambda p: eager(torch.optim.RMSprop)(p, 0.01, foreach=True),
}


def new_network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, NUM_CLASSES)
    )


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_steps_do_not_wait(optimizer: str, precision: str) -> None:
    network, loss = new_network(), nn.CrossEntropyLoss()
    step = OPTIMIZERS[optimizer](network.parameters())
    rate = LearningRate(step, Cosine(warmup_epochs=1.0))
    average = EmaWeights(network, 0.9)
    arithmetic = Precision(precision, torch.device("cpu"))
    with no_waiting():
        curve = LossCurve(1, DEVICE)
        for number in range(2):
            rate.on_step(number / 2, 2.0)
            step.zero_grad(set_to_none=True)
            curve.start_step()
            with arithmetic.autocast():
                outputs = network(INPUTS)
                mean = loss(outputs, CLASSES)
            (mean * 0.5).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0, foreach=True)
            step.step()
            average.update()
            curve.add(mean.detach())
            curve.end_step(number + 1)


@pytest.mark.parametrize("last_size", [5, 3])
def test_metrics_do_not_wait(last_size: int) -> None:
    metrics = TrainMetrics(ClassificationMeter([str(index) for index in range(NUM_CLASSES)]))
    batch = torch.rand(5, NUM_CLASSES), CLASSES, torch.tensor(0.5)
    metrics.add(*batch)
    metrics.flush()  # brings the meter to the device
    with no_waiting():
        for _ in range(17):  # which are more than are fed at once
            metrics.add(*batch)
        metrics.add(batch[0][:last_size], CLASSES[:last_size], batch[2])
        metrics.flush()
        metrics.reset()
        metrics.add(*batch)
        metrics.flush()
    assert dict(metrics.meter.compute())["loss"] == 0.5


def outputs_of(loss: nn.Module) -> Tensor:
    scores = torch.randn(5, 3, requires_grad=True)
    return scores.sigmoid() if isinstance(loss, nn.BCELoss) else scores


@pytest.mark.parametrize("kind", [*_OF_CLASSES, *_OF_EQUAL_SHAPES])
def test_losses_do_not_wait(kind: type[nn.Module]) -> None:
    loss = kind()
    targets = torch.tensor([0, 1, 2, 0, 1]) if kind in _OF_CLASSES else torch.rand(5, 3)
    with no_waiting():
        loss(outputs_of(loss), targets).backward()


def test_the_loss_of_exits_does_not_wait() -> None:
    scores, classes = torch.randn(2, 5, 3, requires_grad=True), torch.arange(5) % 3
    with no_waiting():
        joint_loss(list(scores.unbind()), classes, weights=[0.5, 1.0]).backward()
