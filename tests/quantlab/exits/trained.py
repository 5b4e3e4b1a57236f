"""LeNet, trained on MNIST, with an exit behind its first and second pooling."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from experiments.protocols import InMemory
from problems.images.normalize import MNIST
from problems.MNIST import data
from problems.MNIST.LeNet import preprocess
from quantlab.conversion.calibration import quantized_copy
from quantlab.exits.interpreter import exit_scores
from quantlab.exits.loss import joint_loss
from quantlab.exits.lower import lower_exits
from quantlab.exits.module import EarlyExit
from quantlab.exits.program import ExitProgram
from quantlab.integer.lower import InputSpec
from tests.models import stored

OFFICIAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "mnist"
SPEC = InputSpec(shape=(1, 28, 28), scale=MNIST.scale, zero_point=MNIST.zero_point)
NUM_TRAIN, NUM_VALID = 6000, 2000


@dataclass(frozen=True, kw_only=True, eq=False)
class Scored:
    """Digits, their classes, and the integer scores of each exit."""

    raw: NDArray[np.uint8]
    targets: NDArray[np.int64]
    scores: list[NDArray[Any]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """valid: training digits that nothing was trained on. test: all test digits."""

    exits: ExitProgram
    valid: Scored
    test: Scored


@cache
def trained() -> Trained:
    """Train the heads for two epochs, the trunk as it is, and lower all with 8 bits."""
    torch.manual_seed(0)
    digits = data.load(OFFICIAL, "folder")
    train, test = digits.train, digits.test
    assert isinstance(train, InMemory)
    assert isinstance(test, InMemory)
    network = _with_exits()
    images, targets = preprocess.evaluate(train.inputs[:NUM_TRAIN]), train.targets[:NUM_TRAIN]
    _train_heads(network, images, targets)
    chosen = quantized_copy(network, images[:512], most_bits=8)
    assert isinstance(chosen, EarlyExit)
    exits = lower_exits(chosen, SPEC, images[:512], memory_bits=8)
    valid = slice(NUM_TRAIN, NUM_TRAIN + NUM_VALID)
    return Trained(
        exits=exits,
        valid=_scored(exits, train.inputs[valid], train.targets[valid]),
        test=_scored(exits, test.inputs, test.targets),
    )


def _with_exits() -> EarlyExit:
    lenet: Any = stored.network("lenet_float")
    layers = list(lenet.features)
    segments = [
        nn.Sequential(*layers[:3]),
        nn.Sequential(*layers[3:]),
        nn.Sequential(lenet.flatten, *lenet.classifier),
    ]
    heads = [
        nn.Sequential(nn.MaxPool2d(3), nn.Flatten(), nn.Linear(16 * 16, 10)),
        nn.Sequential(nn.Flatten(), nn.Linear(32 * 16, 10)),
    ]
    return EarlyExit(segments, heads)


def _train_heads(network: EarlyExit, images: Tensor, targets: Tensor) -> None:
    network.segments.requires_grad_(False)
    optimizer = torch.optim.Adam(network.heads.parameters(), 0.003)
    network.train()
    for _ in range(2):
        for batch in torch.randperm(len(images)).split(100):
            optimizer.zero_grad()
            joint_loss(network(images[batch]), targets[batch]).backward()
            optimizer.step()
    network.eval()


def _scored(exits: ExitProgram, raw: Tensor, targets: Tensor) -> Scored:
    return Scored(
        raw=raw.numpy(),
        targets=targets.numpy(),
        scores=exit_scores(exits, {"input": raw.numpy()}),
    )
