import copy
from typing import Any

import pytest
import torch
from torch import nn

from quantlab.algorithms import Conductor, parameter_groups, quantize
from quantlab.controller import Context, Controller
from quantlab.errors import UsageError


class Diary(Controller):
    def __init__(self) -> None:
        self.entries: list[tuple[str, int, int]] = []

    def on_epoch_start(self, context: Context) -> None:
        self.entries.append(("epoch", context.epoch, context.step))

    def on_step_start(self, context: Context) -> None:
        self.entries.append(("start", context.epoch, context.step))

    def on_step_end(self, context: Context) -> None:
        self.entries.append(("end", context.epoch, context.step))

    def on_validate(self, context: Context) -> None:
        self.entries.append(("validate", context.epoch, context.step))

    def describe(self, epoch: int) -> str:
        return "diary"


def test_calls_in_order() -> None:
    diary = Diary()
    conductor = Conductor([diary])
    for _ in conductor.epochs(2):
        for _ in conductor.steps("ab"):
            pass
        conductor.validating()
    assert diary.entries == [
        ("epoch", 0, 0), ("start", 0, 0), ("end", 0, 1), ("start", 0, 1), ("end", 0, 2),
        ("validate", 0, 2),
        ("epoch", 1, 2), ("start", 1, 2), ("end", 1, 3), ("start", 1, 3), ("end", 1, 4),
        ("validate", 1, 4),
    ]  # fmt: skip


def test_goes_on_from_its_state(new_network, batches, rules) -> None:
    rule = (
        "*",
        "weight",
        {"kind": "rpr", "num_levels": 3, "fraction": {"kind": "constant", "value": 0.5}},
    )

    def new() -> tuple[nn.Module, torch.optim.Optimizer, Conductor]:
        network = new_network()
        controllers = quantize(network, rules(rule, ("*", "input", {"kind": "lsq", "num_bits": 4})))
        optimizer = torch.optim.SGD(parameter_groups(network), lr=0.05, momentum=0.9)
        return network, optimizer, Conductor(controllers, optimizer, seed=7)

    def train(parts: tuple[nn.Module, Any, Conductor], epochs: int) -> None:
        network, optimizer, conductor = parts
        for _ in conductor.epochs(epochs):
            for x, y in conductor.steps(batches):
                optimizer.zero_grad()
                nn.functional.cross_entropy(network(x), y).backward()
                optimizer.step()

    whole = new()
    train(whole, 4)
    first = new()
    train(first, 2)
    states = [copy.deepcopy(part.state_dict()) for part in first]
    second = new()
    for part, state in zip(second, states, strict=True):
        part.load_state_dict(state)
    train(second, 4)
    for name, value in second[0].state_dict().items():
        assert torch.equal(value, whole[0].state_dict()[name]), name


def test_an_optimizer_made_too_early_is_refused(new_network, rules) -> None:
    network = new_network()
    early = torch.optim.SGD(network.parameters(), lr=0.05)
    lsq = {"kind": "lsq", "num_bits": 4}
    controllers = quantize(network, rules(("*", "weight", lsq), ("last", "input", lsq)))
    message = r"^optimizer: lacks 4 parameters of quantizers, such as '0.weight_quantizer.step_siz"
    with pytest.raises(UsageError, match=message) as caught:
        Conductor(controllers, early)
    assert "\n" not in str(caught.value)
    Conductor(controllers, torch.optim.SGD(parameter_groups(network), lr=0.05))
    for controller in controllers:
        for parameter in controller.learned.values():
            parameter.requires_grad_(False)
    Conductor(controllers, early)


def test_an_optimizer_may_come_first_where_nothing_is_learned(new_network, rules) -> None:
    network = new_network()
    early = torch.optim.SGD(network.parameters(), lr=0.05)
    Conductor(quantize(network, rules(("*", "weight", {"kind": "ste", "num_bits": 4}))), early)


def test_what_is_no_controller_or_optimizer(new_network) -> None:
    network = new_network()
    with pytest.raises(UsageError, match="controllers: a Sequential given, those of `quantize`"):
        Conductor(network)
    with pytest.raises(UsageError, match=r"optimizer: a Sequential given, one of torch.optim"):
        Conductor([], network)  # type: ignore[arg-type]


def test_state_of_other_controllers() -> None:
    with pytest.raises(UsageError, match="controllers: the states of 1 given, of 0 allowed"):
        Conductor([]).load_state_dict(Conductor([Diary()]).state_dict())
