"""A trained LeNet on the real MNIST: what docs/after-training.md says of it."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from experiments.protocols import InMemory
from problems.MNIST import data
from problems.MNIST.LeNet import preprocess
from quantlab.algorithms import quantize
from quantlab.algorithms.after_training import adaround, calibrate, correct_biases, float_copy
from quantlab.algorithms.allocation import allocate, options_of, sensitivity, to_rules
from tests.models import stored

OFFICIAL = Path(__file__).resolve().parents[5] / "shared" / "data" / "mnist"
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not OFFICIAL.is_dir(), reason=f"needs the MNIST files in {OFFICIAL}"),
]


class Digits:
    """The test set, and 1024 digits of the training set in batches of 128."""

    def __init__(self) -> None:
        digits = data.load(OFFICIAL, "folder")
        assert isinstance(digits.train, InMemory)
        assert isinstance(digits.test, InMemory)
        self._inputs = preprocess.evaluate(digits.test.inputs)
        self._targets = digits.test.targets
        inputs = preprocess.evaluate(digits.train.inputs[:1024]).split(128)
        self.batches = list(zip(inputs, digits.train.targets[:1024].split(128), strict=True))

    def accuracy(self, network: nn.Module) -> float:
        """In percent."""
        with torch.no_grad():
            scores = torch.cat([network.eval()(part) for part in self._inputs.split(1000)])
        return 100.0 * (scores.argmax(1) == self._targets).double().mean().item()


@pytest.fixture(scope="module")
def digits() -> Digits:
    return Digits()


def calibrated(digits: Digits, rules: Any, weights: int, inputs: int) -> nn.Module:
    network = stored.network("lenet_float")
    w, a = ({"kind": "ste", "num_bits": b} for b in (weights, inputs))
    quantize(network, rules(("*", "weight", w), ("*", "input", a)))
    calibrate(network, digits.batches)
    return network


def test_eight_bits_lose_nothing(digits, rules) -> None:
    network = calibrated(digits, rules, 8, 8)
    assert abs(digits.accuracy(network) - digits.accuracy(stored.network("lenet_float"))) <= 0.2


@pytest.mark.parametrize(
    # One of 10,000 digits is 0.01; a standard deviation of the accuracy is 0.09.
    ("weights", "gained", "lost"),
    [(4, -0.05, 0.15), (3, 0.0, 0.2), (2, 0.5, 1.0)],
)
def test_adaround_gains_on_every_layer(
    digits, rules, weights: int, gained: float, lost: float
) -> None:
    network = calibrated(digits, rules, weights, 8)
    reference = float_copy(network)
    before = digits.accuracy(network)
    rows = adaround(network, digits.batches, generator=torch.Generator().manual_seed(0))
    assert all(row.error < 0.75 * row.nearest_error for row in rows)
    after = digits.accuracy(network)
    assert after >= before + gained
    assert after >= digits.accuracy(reference) - lost
    correct_biases(network, digits.batches, reference=reference)
    assert digits.accuracy(network) >= after - 0.1


def test_allocated_bits_beat_uniform_ones(digits, rules) -> None:
    """In the sum that they minimize, and in the divergence that it stands for."""
    float_network = stored.network("lenet_float")
    table = sensitivity(float_network, digits.batches, functional.cross_entropy, bits=range(2, 9))
    options = options_of(table)
    uniform = [option for option in options if option.num_bits == 3]
    found = allocate(options, max_bytes=sum(option.nbytes for option in uniform))
    assert found.gap == 0
    assert found.objective <= sum(option.cost for option in uniform)

    def divergence(rules: Any) -> float:
        network = copy.deepcopy(float_network)
        quantize(network, rules)
        calibrate(network, digits.batches)
        x = torch.cat([inputs for inputs, _ in digits.batches])
        log_p, log_q = scores(float_network, x), scores(network, x)
        return float((log_p.exp() * (log_p - log_q)).sum(1).mean())

    def scores(network: nn.Module, x: Tensor) -> Tensor:
        with torch.no_grad():
            return network.eval()(x).double().log_softmax(1)

    three = rules(("*", "weight", {"kind": "ste", "num_bits": 3}))
    assert divergence(to_rules(found)) <= 1.05 * divergence(three)
