"""The parts of one training."""

from dataclasses import dataclass

from torch import nn, optim

from experiments.training.ema import EmaWeights
from experiments.training.learning_rate import LearningRate
from experiments.training.objective import Objective
from quantlab.controller import Controller
from quantlab.monitor import Monitor


@dataclass(frozen=True, kw_only=True)
class Assembly:
    """What is trained, and all that works on it.

    twin: see `twin_of`. loss: of evaluations. objective: of training steps.
    """

    network: nn.Module
    twin: nn.Module | None
    loss: nn.Module
    objective: Objective
    optimizer: optim.Optimizer
    learning_rate: LearningRate
    controllers: list[Controller]
    ema: EmaWeights | None
    monitor: Monitor | None
