"""Costs by a clock that layers advance themselves, and bytes that are known by hand."""

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from quantlab.sparse.bfloat16 import to_bfloat16
from quantlab.sparse.calls import Call
from quantlab.sparse.measure import NUM_REPEATS, Step, step_bytes, step_seconds
from quantlab.sparse.pruning import to_sparse


class Clock:
    """A clock that stands still between calls of layers. log: who was called."""

    def __init__(self) -> None:
        self.now = 0.0
        self.log: list[str] = []


class Slow(nn.Module):
    """Takes the next of some times at each call with gradients."""

    def __init__(self, name: str, clock: Clock, times: Iterator[float]) -> None:
        super().__init__()
        self.name, self.clock, self.times = name, clock, times
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            self.clock.now += next(self.times)
            self.clock.log.append(self.name)
        return x * self.weight


def test_medians_of_turns_without_the_first() -> None:
    assert NUM_REPEATS >= 7
    clock = Clock()
    rising = [1000.0, *map(float, range(4, NUM_REPEATS + 4))]
    layers = {
        "a": Slow("a", clock, iter(rising)),
        "b": Slow("b", clock, iter([100.0] + [7.0] * (NUM_REPEATS - 1) + [900.0])),
    }
    costs = step_seconds(layers, [Call(shape=(2, 3))], clock=lambda: clock.now)
    assert costs.of_each == {"a": (NUM_REPEATS + 1) / 2 + 3, "b": 7.0}
    assert not costs.dropped
    assert clock.log == ["a", "b"] * (1 + NUM_REPEATS)


def test_the_hopeless_are_measured_once() -> None:
    clock = Clock()
    layers = {
        "slow": Slow("slow", clock, iter([80.0, 40.1])),
        "fastest": Slow("fastest", clock, iter([50.0] + [10.0] * NUM_REPEATS)),
        "as slow as allowed": Slow("as slow as allowed", clock, iter([40.0] * 99)),
        "slow once": Slow("slow once", clock, iter([12.0, 900.0] + [12.0] * 99)),
        "slow at first": Slow("slow at first", clock, iter([900.0] + [12.0] * 99)),
    }
    costs = step_seconds(layers, [Call(shape=(2, 3))], clock=lambda: clock.now)
    assert costs.dropped == {"slow"}
    assert costs.of_each == {
        "slow": pytest.approx(40.1),
        "fastest": 10.0,
        "as slow as allowed": 40.0,
        "slow once": 12.0,
        "slow at first": 12.0,
    }
    assert clock.log.count("slow") == 2
    assert clock.log.count("slow once") == 1 + NUM_REPEATS


def test_all_calls_count() -> None:
    clock = Clock()
    layers = {"a": Slow("a", clock, iter([1.0] * 100))}
    calls = [Call(shape=(2, 3)), Call(shape=(4, 3)), Call(shape=(2, 3))]
    assert step_seconds(layers, calls, clock=lambda: clock.now).of_each == {"a": 3.0}


class Counting(torch.autograd.Function):
    """Counts the gradients that are asked for."""

    asked: ClassVar[list[tuple[bool, ...]]] = []

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        return x * weight

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        Counting.asked.append(ctx.needs_input_grad)
        return gradient, gradient.sum()


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = Counting.apply(x, self.weight)
        return y


def test_a_step_has_both_gradients_and_leaves_none() -> None:
    layer = Scaled()
    step = Step.of(layer, [Call(shape=(2, 3))])
    Counting.asked.clear()
    with torch.no_grad():
        step.run()
    layer.weight.requires_grad_(False)
    step.run()
    assert Counting.asked == [(True, True), (True, False)]
    assert layer.weight.grad is None
    assert step.inputs[0].grad is None


def test_numbers_are_the_same_for_all_layers_and_new_to_none() -> None:
    state = torch.get_rng_state()
    first, other = (Step.of(layer, [Call(shape=(2, 3))]) for layer in (Scaled(), Scaled()))
    assert torch.equal(first.inputs[0], other.inputs[0])
    assert torch.equal(first.gradients[0], other.gradients[0])
    assert torch.equal(torch.get_rng_state(), state)


def test_bytes_of_a_linear_layer() -> None:
    linear = nn.Linear(40, 30)
    with torch.no_grad():
        linear.weight.flatten()[100:] = 0.0
    layers = {"dense": linear, "bf16": to_bfloat16(linear), "sparse": to_sparse(linear)}
    x, weight, bias = 16 * 40, 30 * 40, 30
    kept = Call(shape=(16, 40), is_kept=True)
    found = step_bytes(layers, [kept]).of_each
    # A layer of bfloat16 saves its own copies of the input and the weight, of 2 bytes each.
    assert found == {
        "dense": 2 * 4 * (weight + bias),
        "bf16": 2 * 4 * (weight + bias) + 2 * (x + weight),
        "sparse": 2 * 4 * (100 + bias) + 8 * 100 + 4 * x,
    }
    alone = step_bytes(layers, [Call(shape=(16, 40))]).of_each
    assert alone == {**found, "dense": found["dense"] + 4 * x}
    twice = step_bytes(layers, [kept, kept]).of_each
    assert twice["sparse"] == found["sparse"] + 4 * x


def test_frozen_parameters_have_no_gradients() -> None:
    linear = nn.Linear(4, 3, bias=False)
    linear.weight.requires_grad_(False)
    assert step_bytes({"a": linear}, [Call(shape=(2, 4))]).of_each == {"a": 4 * 3 * 4}
