"""The parts of one training."""

from dataclasses import dataclass

from torch import nn, optim

from experiments.training.ema import EmaWeights
from experiments.training.learning_rate import LearningRate
from quantlab.controller import Controller
from quantlab.monitor import Monitor


@dataclass(frozen=True, kw_only=True)
class Assembly:
    """What is trained, and all that works on it. twin: see `twin_of`."""

    network: nn.Module
    twin: nn.Module | None
    loss: nn.Module
    optimizer: optim.Optimizer
    learning_rate: LearningRate
    controllers: list[Controller]
    ema: EmaWeights | None
    monitor: Monitor | None
