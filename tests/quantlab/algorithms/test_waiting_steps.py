"""Training steps with quantizers never wait for a GPU, so that they can be captured.

Epochs may: at their start INQ counts and ranks the weights that are fixed, ANA sets its noise, and
quantizers start. So may the one step at which inputs and outputs start within the first epoch
(`start_epoch: 0`).
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from quantlab.algorithms import ALGORITHMS, parameter_groups, quantize
from quantlab.algorithms.eager_optimizer import eager
from quantlab.algorithms.layers import TARGETS, Target, carries
from quantlab.algorithms.observers import ObserverKind
from quantlab.controller import Alone, Context, Controller
from quantlab.quantizer import Quantizer
from tests.quantlab.algorithms.cases import CASES
from tests.waiting import no_waiting

ANNEALED = CASES["ana mode"].config
MORE: dict[tuple[str, Target], dict[str, Any]] = {
    **{("ana random", on): ANNEALED | {"forward": "random"} for on in TARGETS},
    ("lsq in groups", "weight"): {"kind": "lsq", "num_bits": 4, "granularity": "per_group:2"},
    ("twn of the tensor", "weight"): {"kind": "twn", "granularity": "per_tensor"},
    ("inq in groups", "weight"): CASES["inq half"].config | {"granularity": "per_group:2"},
}
SETTINGS = {
    **{(name, on): case.config_for(on) for name, case in CASES.items() for on in case.targets},
    **MORE,
}
RANGED = ("ste", "lsq", "pact", "tqt", "ana")  # whose range is observed, quickly here
family = pytest.mark.parametrize("setting", SETTINGS, ids=" ".join)
STARTED = 2  # the epoch from which all quantize
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")


@dataclass(frozen=True, kw_only=True)
class Training:
    """A network under training, one batch an epoch, but for what is called by hand."""

    network: nn.Module
    controllers: list[Controller]
    optimizer: torch.optim.Optimizer

    @classmethod
    def of(cls, network: nn.Module, rules: list[Any]) -> "Training":
        controllers = quantize(network, rules)
        groups = parameter_groups(network)
        optimizer = eager(torch.optim.SGD)(
            groups, 0.05, momentum=0.9, weight_decay=1e-3, foreach=True
        )
        return cls(network=network.train(), controllers=controllers, optimizer=optimizer)

    def at(self, epoch: int, step: int) -> Context:
        return Context(
            epoch=epoch,
            step=step,
            optimizer=self.optimizer,
            communicator=Alone(),
            generator=torch.Generator().manual_seed(3),
        )

    def begin_epoch(self, epoch: int) -> None:
        for controller in self.controllers:
            controller.on_epoch_start(self.at(epoch, epoch))

    def begin_step(self, epoch: int, step: int) -> None:
        for controller in self.controllers:
            controller.on_step_start(self.at(epoch, step))

    def backward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        loss = nn.functional.cross_entropy(self.network(inputs), targets)
        loss.backward()
        return loss.detach()

    def step(self, epoch: int, step: int, batch: tuple[Tensor, Tensor]) -> None:
        self.begin_step(epoch, step)
        self.optimizer.zero_grad(set_to_none=True)
        self.backward(*batch)
        self.finish_step(epoch, step)

    def finish_step(self, epoch: int, step: int) -> None:
        self.optimizer.step()
        for controller in self.controllers:
            controller.on_step_end(self.at(epoch, step + 1))

    def start(self, batch: tuple[Tensor, Tensor]) -> "Training":
        for epoch in range(STARTED):
            self.begin_epoch(epoch)
            self.step(epoch, epoch, batch)
        self.begin_epoch(STARTED)
        self.step(STARTED, STARTED, batch)
        return self


Start = Callable[..., Training]


@pytest.fixture
def start(new_network, rules, batches) -> Start:
    """Trains a network until the algorithm is at work."""

    def start(setting: tuple[str, Target], device: str = "cpu") -> Training:
        settings, on = SETTINGS[setting], setting[1]
        if on != "weight" and settings["kind"] in RANGED:
            settings = settings | {"observer": "minmax"}
        rule = ("*", on, settings)
        network = new_network().to(device)
        return Training.of(network, rules(rule)).start(batch_on(batches, 0, device))

    return start


def batch_on(batches: list[tuple[Tensor, Tensor]], index: int, device: str) -> Any:
    return tuple(tensor.to(device) for tensor in batches[index])


def test_all_algorithms_are_here() -> None:
    assert {config["kind"] for config in SETTINGS.values()} == ALGORITHMS.keys()


@family
def test_steps_do_not_wait(setting: tuple[str, Target], start: Start, batches) -> None:
    training = start(setting)
    assert any(m.is_enabled for m in training.network.modules() if isinstance(m, Quantizer))
    before = copy.deepcopy(training.network.state_dict())
    with no_waiting():
        training.step(STARTED, STARTED + 1, batches[1])
    after = training.network.state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("observer", get_args(ObserverKind))
@pytest.mark.parametrize("on", ["input", "output"])
def test_observing_does_not_wait(observer: str, on: Target, new_network, rules, batches) -> None:
    settings = {"kind": "ste", "num_bits": 4, "start_epoch": 1, "observer": observer}
    training = Training.of(new_network(), rules(("*", on, settings)))
    training.begin_epoch(0)
    training.step(0, 0, batches[0])
    with no_waiting():
        training.step(0, 1, batches[1])
    training.begin_epoch(1)
    quantizers = [m for m in training.network.modules() if isinstance(m, Quantizer)]
    assert all(q.is_enabled for q in quantizers)


@pytest.mark.parametrize("weight_range", ["max", "mean", "mse"])
def test_a_weight_is_observed_without_waiting(weight_range: str, new_network, rules) -> None:
    settings = {"kind": "lsq", "num_bits": 4, "weight_range": weight_range}
    training = Training.of(new_network(), rules(("*", "weight", settings)))
    layer = training.network.get_submodule("0")
    with no_waiting():
        carries(layer)["weight"].observe(layer.get_parameter("weight"))


def test_attention_does_not_wait(rules) -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(4, 2, 4, dropout=0.0, batch_first=True)
    network = nn.Sequential(layer, nn.Flatten(), nn.Linear(12, 3))
    settings = {"kind": "lsq", "num_bits": 4}
    training = Training.of(network, rules(("*", "weight", settings)))
    batch = torch.randn(2, 3, 4), torch.tensor([0, 2])
    training.start(batch)
    with no_waiting():
        training.step(STARTED, STARTED + 1, batch)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The device, with deterministic algorithms alone."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    yield "cuda"
    torch.use_deterministic_algorithms(False)
    torch.cuda.set_sync_debug_mode("default")


@needs_gpu
@family
def test_steps_do_not_wait_for_a_gpu(
    setting: tuple[str, Target], start: Start, batches, gpu: str
) -> None:
    training, batch = start(setting, gpu), batch_on(batches, 1, gpu)
    torch.cuda.set_sync_debug_mode("error")
    for step in range(STARTED + 1, STARTED + 3):
        training.step(STARTED, step, batch)


def captured(training: Training, inputs: Tensor, targets: Tensor) -> tuple[Any, Tensor]:
    """Return the graph of a forward and backward pass, and the loss that it computes."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            training.optimizer.zero_grad(set_to_none=True)
            training.backward(inputs, targets)
    torch.cuda.current_stream().wait_stream(stream)
    training.optimizer.zero_grad(set_to_none=True)
    graph = torch.cuda.CUDAGraph()
    for module in training.network.modules():
        if isinstance(module, Quantizer) and module.generator is not None:
            graph.register_generator_state(module.generator)
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        loss = training.backward(inputs, targets)
    return graph, loss


@needs_gpu
@family
def test_captured_steps_equal_steps(
    setting: tuple[str, Target], start: Start, batches, gpu: str
) -> None:
    training, same = start(setting, gpu), start(setting, gpu)
    inputs, targets = batch_on(batches, 1, gpu)
    graph, loss = captured(training, inputs, targets)
    for step in range(STARTED + 1, STARTED + 4):
        batch = batch_on(batches, step % len(batches), gpu)
        for tensor, new in zip((inputs, targets), batch, strict=True):
            tensor.copy_(new)
        training.begin_step(STARTED, step)
        graph.replay()
        same.begin_step(STARTED, step)
        same.optimizer.zero_grad(set_to_none=True)
        assert torch.equal(loss, same.backward(*batch))
        pairs = zip(training.network.parameters(), same.network.parameters(), strict=True)
        for one, other in pairs:
            assert (one.grad is None) == (other.grad is None)
            assert one.grad is None or torch.equal(one.grad, other.grad)
        for each in (training, same):
            each.finish_step(STARTED, step)
    for name, tensor in same.network.state_dict().items():
        assert torch.equal(training.network.state_dict()[name], tensor), name
