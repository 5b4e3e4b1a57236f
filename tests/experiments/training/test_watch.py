"""What a recorded step took for granted is seen to change."""

import copy
import random
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from experiments.training.assembly import Assembly
from experiments.training.capture.watch import Watch
from tests.toy.experiments import toy_experiment
from tests.toy.Toy.Tiny.network import Tiny


@pytest.fixture
def assembly(tmp_path: Path) -> Assembly:
    file = tmp_path / "teacher.pt"
    torch.save(Tiny().state_dict(), file)
    given = ("training.ema.decay=0.5", f"teacher.checkpoint={file}")
    made = toy_experiment(tmp_path, *given).assemble(0)
    made.network.train()
    for name, (held, _) in USED.items():
        setattr(made.network, name, copy.deepcopy(held))
    step(made)
    return made


def step(assembly: Assembly) -> None:
    assembly.network(torch.ones(2, 1, 6, 6)).sum().backward()
    assembly.optimizer.step()
    assert assembly.ema is not None
    assembly.ema.update()


def set_attribute(name: str, make: Callable[[], object]) -> Callable[[Assembly], None]:
    return lambda assembly: setattr(assembly.network, name, make())


USED: dict[str, tuple[Any, Callable[[Any], object]]] = {
    "numpy_random": (np.random.default_rng(0), lambda generator: generator.random()),
    "random": (random.Random(0), lambda generator: generator.random()),
    "array": (np.zeros(2), lambda array: array.__iadd__(1)),
    "counter": (count(), next),
    "last": (deque([1]), lambda last: last.append(2)),
    "bytes": (bytearray(2), lambda content: content.append(1)),
    "namespace": (SimpleNamespace(calls=0), lambda namespace: namespace.__setattr__("calls", 1)),
    "nested": ([[[[[0]]]]], lambda nested: nested[0][0][0][0].append(1)),
}
"""What a network may hold that changes in place, and a change of it."""


def use(name: str, assembly: Assembly) -> None:
    held, change = USED[name]
    change(getattr(assembly.network, name, held))


def replace_average(assembly: Assembly) -> None:
    assert assembly.ema is not None
    assembly.ema._average["linear.weight"] = torch.zeros(4, 64)


def replace_data(assembly: Assembly) -> None:
    weight = assembly.network.get_parameter("linear.weight")
    weight.data = weight.data.clone()


def replace_in_teacher(assembly: Assembly) -> None:
    assert assembly.objective.teacher is not None
    linear = assembly.objective.teacher.network.get_submodule("linear")
    linear.weight = nn.Parameter(torch.zeros(4, 64), requires_grad=False)


def replace_momentum(assembly: Assembly) -> None:
    state = next(iter(assembly.optimizer.state.values()))
    state["momentum_buffer"] = state["momentum_buffer"].clone()


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda a: a.network.eval(), "network.training"),
        (lambda a: a.network.dropout.__setattr__("p", 0.5), "network.dropout.p"),
        (lambda a: a.network.set_submodule("relu", nn.ReLU()), "network._modules"),
        (lambda a: a.network.register_forward_hook(lambda *given: None), "network._forward_hooks"),
        (lambda a: a.network.linear.weight.requires_grad_(False), "network.linear._parameters"),
        (lambda a: a.network.norm.register_buffer("running_mean", torch.ones(4)),
         "network.norm._buffers"),
        (replace_data, "network.linear._parameters"),
        (set_attribute("mask", lambda: torch.ones(3)), "network.mask"),
        (set_attribute("calls", lambda: 1), "network.calls"),
        *((partial(use, name), f"network.{name}") for name in USED),
        (lambda a: a.optimizer.param_groups[0].update(momentum=0.5), "optimizer: momentum of g"),
        (replace_momentum, "optimizer: momentum_buffer of parameter 0"),
        (replace_average, "average of linear.weight"),
        (replace_in_teacher, "teacher.linear._parameters"),
        (lambda a: setattr(a.loss, "label_smoothing", 0.5), "loss.label_smoothing"),
    ],
)  # fmt: skip
def test_changes_are_seen_once(
    assembly: Assembly, change: Callable[[Assembly], None], name: str
) -> None:
    watch = Watch(assembly)
    assert watch.look() is not None  # for the first time
    assert watch.look() is None
    change(assembly)
    assert (watch.look() or "").startswith(name)
    assert watch.look() is None


def test_what_is_in_lists_and_objects_is_seen(assembly: Assembly) -> None:
    class Settings:
        rate = 0.5

    Settings.__module__ = "problems.Mine"
    settings, factors = Settings(), [1, [2.0]]
    vars(assembly.network).update(settings=settings, factors=factors)
    watch = Watch(assembly)
    watch.look()
    factors[1] = [3.0]
    assert watch.look() == "network.factors"
    settings.rate = 0.25
    assert watch.look() == "network.settings"
    assert watch.look() is None


def test_steps_and_equal_values_are_no_changes(assembly: Assembly) -> None:
    vars(assembly.network).update(rate=float("nan"), size=10**9)
    watch = Watch(assembly)
    watch.look()
    vars(assembly.network).update(rate=float("nan"), size=int("1000000000"))
    step(assembly)
    assembly.optimizer.param_groups[0]["lr"] = 0.123
    assert watch.look() is None


def test_a_network_that_does_not_know_its_shapes_yet(assembly: Assembly) -> None:
    assembly.network.add_module("late", nn.LazyLinear(3))
    watch = Watch(assembly)
    watch.look()
    assert watch.look() is None
    assembly.network.get_submodule("late")(torch.ones(2, 4))
    assert str(watch.look()).startswith("network.late.")
