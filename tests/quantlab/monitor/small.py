"""A small network with layers of all kinds, quantizers that start with the second epoch, and a
trainer reduced to what a monitor sees of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from quantlab.algorithms import QuantRule, parameter_groups, quantize
from quantlab.controller import Alone, Context, Controller, Reducer
from quantlab.monitor import Histogram, Monitor, Reading, StatisticConfig
from quantlab.quantizer import Quantizer

Batch = tuple[Tensor, Tensor, float]  # inputs, targets, share of the step's samples
Array = NDArray[np.float64]

Rules = Sequence[tuple[str, str, dict[str, Any]]]

STE: dict[str, Any] = {"kind": "ste", "num_bits": 3}
RULES: Rules = (("*", "weight", STE), ("!first", "input", {**STE, "observer": "minmax"}))
POWERS: dict[str, Any] = {"kind": "rpr", "num_levels": 5, "levels": "power_of_two"}
POWERS["fraction"] = {"kind": "constant", "value": 0.5}
STEPS_PER_EPOCH = 2
NUM_CHANNELS = 4


class FixedNorm(nn.BatchNorm2d):
    """Normalizes by stored statistics in training too, so that samples do not meet in it."""

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return nn.functional.batch_norm(
            x_NCHW, self.running_mean, self.running_var, self.weight, self.bias
        )


class Small(nn.Module):
    """Convolution, batch norm, an activation in place, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, NUM_CHANNELS, 3)
        self.norm = FixedNorm(NUM_CHANNELS)
        self.relu = nn.ReLU(inplace=True)
        self.linear = nn.Linear(NUM_CHANNELS * 16, 3)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        hidden = self.relu(self.norm(self.conv(x_NCHW)))
        scores: Tensor = self.linear(hidden.flatten(1))
        return scores


@dataclass(kw_only=True)
class Training:
    """Steps of SGD with momentum; `readings` has those of each step."""

    network: nn.Module
    controllers: Sequence[Controller] = ()
    monitor: Monitor | None = None
    communicator: Reducer = field(default_factory=Alone)
    dtype: torch.dtype | None = None  # of autocast
    loss_scale: float = 1.0
    step: int = 0
    readings: list[list[Reading]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.network.train()
        self.optimizer = torch.optim.SGD(parameter_groups(self.network), lr=0.2, momentum=0.5)

    def now(self) -> Context:
        return Context(
            epoch=self.step // STEPS_PER_EPOCH,
            step=self.step,
            optimizer=self.optimizer,
            communicator=self.communicator,
            generator=torch.Generator(),
        )

    def quantizer(self, layer: str, on: str) -> Quantizer:
        found = getattr(self.network.get_submodule(layer), f"{on}_quantizer")
        assert isinstance(found, Quantizer)
        return found

    def run(self, batches: Iterable[Batch]) -> list[Reading]:
        """Do one step of these batches; return what was measured."""
        for controller in self.controllers:
            if self.step % STEPS_PER_EPOCH == 0:
                controller.on_epoch_start(self.now())
            controller.on_step_start(self.now())
        if self.monitor is not None:
            self.monitor.start_step(self.step, self.loss_scale)
        self.optimizer.zero_grad()
        for inputs, targets, share in batches:
            with torch.autocast("cpu", self.dtype, enabled=self.dtype is not None):
                loss = nn.functional.cross_entropy(self.network(inputs), targets)
            (loss * share * self.loss_scale).backward()
        for parameter in self.network.parameters():
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            parameter.grad = self.communicator.all_reduce(gradient, "sum") / self.loss_scale
        self.optimizer.step()
        self.step += 1
        found = [] if self.monitor is None else self.monitor.end_step(self.communicator)
        self.readings.append(found)
        for controller in self.controllers:
            controller.on_step_end(self.now())
        return found


def make_network(
    rules: Rules = RULES, dtype: torch.dtype = torch.float32
) -> tuple[Small, list[Controller]]:
    """Return the quantized network, always the same."""
    torch.manual_seed(7)
    network = Small().to(dtype)
    network.norm.weight.data.uniform_(-0.5, 1.5)
    network.norm.bias.data.uniform_(-0.5, 0.5)
    made = [QuantRule.model_validate({"select": s, "on": on, "algorithm": a}) for s, on, a in rules]
    controllers = quantize(network, made)
    return network.to(dtype), controllers


def make_batch(seed: int, size: int = 12, dtype: torch.dtype = torch.float32) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(size, 1, 6, 6, generator=generator, dtype=dtype)
    return inputs, torch.randint(3, (size,), generator=generator), 1.0


def trained(
    *configs: StatisticConfig,
    rules: Rules = RULES,
    num_steps: int = 4,
    dtype: torch.dtype = torch.float32,
    **settings: Any,
) -> Training:
    """Return a training that was measured for some steps."""
    network, controllers = make_network(rules, dtype)
    monitor = Monitor(network) if configs else None
    for config in configs:
        assert monitor is not None
        monitor.add(config)
    training = Training(network=network, controllers=controllers, monitor=monitor, **settings)
    for step in range(num_steps):
        training.run([make_batch(step, dtype=dtype)])
    return training


def numbers(readings: Iterable[Reading]) -> dict[str, float]:
    """Return what is no histogram, by tag."""
    return {r.tag: r.value for r in readings if not isinstance(r.value, Histogram)}


def array(x: Tensor) -> Array:
    return np.asarray(x.detach().double().cpu().numpy())
