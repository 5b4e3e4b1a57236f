"""A network trained to recognize noisy patterns, within two seconds."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from quantlab.algorithms import quantize
from tests.quantlab.algorithms.conftest import make_rules

NUM_CLASSES = 10
NOISE = 3.0


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A float network, batches to calibrate it with, and others to test it with."""

    network: nn.Sequential
    batches: list[Tensor]
    inputs: Tensor
    targets: Tensor

    def accuracy(self, network: nn.Module) -> float:
        """In percent."""
        with torch.no_grad():
            found = network.eval()(self.inputs).argmax(1)
        return 100.0 * (found == self.targets).double().mean().item()


@pytest.fixture(scope="session")
def _trained() -> Trained:
    generator = torch.Generator().manual_seed(1)

    def smooth(count: int) -> Tensor:
        """As in pictures, pixels are like their neighbors; else nearest rounding is the best."""
        return functional.avg_pool2d(torch.randn(count, 1, 14, 14, generator=generator), 3, 1)

    patterns = smooth(NUM_CLASSES)

    def draw(count: int) -> tuple[Tensor, Tensor]:
        targets = torch.randint(NUM_CLASSES, (count,), generator=generator)
        return 3.0 * patterns[targets] + NOISE * smooth(count), targets

    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * 4 * 4, 32),
        nn.ReLU(),
        nn.Linear(32, NUM_CLASSES),
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(150):
        inputs, targets = draw(64)
        optimizer.zero_grad()
        functional.cross_entropy(network(inputs), targets).backward()
        optimizer.step()
    batches = [draw(64)[0] for _ in range(4)]
    inputs, targets = draw(2000)
    network.requires_grad_(True).eval()
    return Trained(network=network, batches=batches, inputs=inputs, targets=targets)


@pytest.fixture
def trained(_trained: Trained) -> Trained:
    """The same for all tests; each may change its own copy."""
    return copy.deepcopy(_trained)


@pytest.fixture
def quantized(trained: Trained) -> Callable[..., nn.Sequential]:
    """Returns copies of the trained network with quantizers, not calibrated yet."""

    def make(
        *, weights: int, inputs: int | None = None, kind: str = "ste", **settings: object
    ) -> nn.Sequential:
        network = copy.deepcopy(trained.network)
        rules = [("*", "weight", {"kind": kind, "num_bits": weights, **settings})]
        if inputs is not None:
            rules.append(("*", "input", {"kind": kind, "num_bits": inputs}))
        quantize(network, make_rules(*rules))
        return network

    return make
