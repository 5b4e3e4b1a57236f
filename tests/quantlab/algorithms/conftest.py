"""A small network, and a trainer reduced to the calls that controllers see."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from quantlab.algorithms import QuantRule, parameter_groups
from quantlab.controller import Alone, Context, Controller, Reducer

Train = Callable[..., int]


def make_small_network() -> nn.Sequential:
    """Both convolutions have weights of one shape: a compiler needs to see only one of them."""
    torch.default_generator.manual_seed(3)  # torch.manual_seed keeps a stack trace for each GPU
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, padding_mode="circular"),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, groups=2),
        nn.Flatten(),
        nn.Linear(64, 3),
    )


def make_rules(*rules: tuple[str, str, dict[str, Any]]) -> list[QuantRule]:
    return [
        QuantRule.model_validate({"select": selector, "on": on, "algorithm": algorithm})
        for selector, on, algorithm in rules
    ]


def run_training(
    network: nn.Module,
    controllers: Iterable[Controller],
    batches: Iterable[tuple[Tensor, Tensor]],
    *,
    epochs: int,
    first_step: int = 0,
    num_steps: int | None = None,
    lr: float = 0.05,
    communicator: Reducer | None = None,
    after_step: Callable[[int], None] = lambda step: None,
) -> int:
    """Train with plain SGD, from any step on for any number of steps; return the next step.

    after_step: called with the number of steps that are done.
    """
    batches, controllers = list(batches), list(controllers)
    optimizer = torch.optim.SGD(parameter_groups(network), lr=lr)
    last_step = len(batches) * epochs
    if num_steps is not None:
        last_step = min(last_step, first_step + num_steps)
    network.train()
    for step in range(first_step, last_step):
        epoch, index = divmod(step, len(batches))

        def at(step: int, epoch: int = epoch) -> Context:
            return Context(
                epoch=epoch,
                step=step,
                optimizer=optimizer,
                communicator=communicator or Alone(),
                generator=torch.Generator(),
            )

        if index == 0 or step == first_step:
            for controller in controllers:
                controller.on_epoch_start(at(step))
        for controller in controllers:
            controller.on_step_start(at(step))
        inputs, targets = batches[index]
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(inputs), targets).backward()
        if communicator is not None:
            _average_gradients(network, communicator)
        optimizer.step()
        for controller in controllers:
            controller.on_step_end(at(step + 1))
        after_step(step + 1)
    return last_step


def _average_gradients(network: nn.Module, communicator: Reducer) -> None:
    for parameter in network.parameters():
        if parameter.grad is not None:
            parameter.grad = communicator.all_reduce(parameter.grad, "sum") / communicator.size


def make_small_batches() -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(5)
    return [
        (
            torch.randn(8, 2, 6, 6, generator=generator),
            torch.randint(3, (8,), generator=generator),
        )
        for _ in range(4)
    ]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tensors of these sizes only lose by being shared out."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(num_threads)


@pytest.fixture
def network() -> nn.Sequential:
    return make_small_network()


@pytest.fixture
def batches() -> list[tuple[Tensor, Tensor]]:
    return make_small_batches()


@pytest.fixture(scope="session")
def new_batches() -> Callable[[], list[tuple[Tensor, Tensor]]]:
    return make_small_batches


@pytest.fixture(scope="session")
def new_network() -> Callable[[], nn.Sequential]:
    return make_small_network


@pytest.fixture(scope="session")
def train() -> Train:
    return run_training


@pytest.fixture(scope="session")
def rules() -> Callable[..., list[QuantRule]]:
    return make_rules


@pytest.fixture
def draw() -> Callable[[int], tuple[Tensor, Tensor]]:
    """Draws so many samples of a problem that can be learned: three patterns in noise."""
    generator = torch.Generator().manual_seed(11)
    patterns = torch.randn(3, 2, 6, 6, generator=generator)

    def draw(count: int) -> tuple[Tensor, Tensor]:
        targets = torch.randint(3, (count,), generator=generator)
        noise = torch.randn(count, 2, 6, 6, generator=generator)
        return patterns[targets] + noise, targets

    return draw
