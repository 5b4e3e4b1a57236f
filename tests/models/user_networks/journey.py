"""What a user does with a network, as the documents teach it: quantize, train, export, verify."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

import quantlab
from quantlab.integer.program import Program

NUM_CLASSES = 4
Rules = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Raw:
    """Samples of bytes, and what these stand for: `(byte - zero_point) * scale`."""

    shape: tuple[int, ...]
    scale: float = 1 / 64
    zero_point: int = 128

    def draw(self, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Return noisy bytes `[count, *shape]`, whose middle values tell their class, and these."""
        generator = torch.Generator().manual_seed(seed)
        targets = torch.arange(count) % NUM_CLASSES
        patterns = torch.rand(
            (NUM_CLASSES, *self.shape), generator=torch.Generator().manual_seed(3)
        )
        noise = torch.rand((count, *self.shape), generator=generator)
        return (255 * (patterns[targets] + noise) / 2).to(torch.uint8), targets

    def reals(self, raw: Tensor) -> Tensor:
        return (raw.float() - self.zero_point) * self.scale

    @property
    def spec(self) -> quantlab.InputSpec:
        channels = self.shape[0] if len(self.shape) == 3 else 1
        return quantlab.InputSpec(
            shape=self.shape,
            scale=(self.scale,) * channels,
            zero_point=(self.zero_point,) * channels,
        )


def loss_of(outputs: Any, targets: Tensor) -> Tensor:
    """Of scores, of maps of them, of one number a row, or of several outputs."""
    if isinstance(outputs, Mapping):
        return loss_of(list(outputs.values()), targets)
    if isinstance(outputs, tuple | list):
        return torch.stack([loss_of(part, targets) for part in outputs]).sum()
    if outputs.numel() == len(targets):
        return mse_loss(outputs.flatten(), targets.float() - 1.5)
    if outputs.ndim == 4:
        targets = targets.view(-1, 1, 1).expand(-1, *outputs.shape[2:])
    return cross_entropy(outputs, targets)


def train(network: nn.Module, rules: Rules, raw: Raw, epochs: int = 2) -> None:
    """Quantize a network and train it, in place."""
    controllers = quantlab.quantize(network, rules)
    optimizer = torch.optim.SGD(quantlab.parameter_groups(network), lr=0.02, momentum=0.9)
    conductor = quantlab.Conductor(controllers, optimizer)
    x, targets = raw.draw(64, seed=1)
    batches = list(zip(raw.reals(x).split(16), targets.split(16), strict=True))
    for _ in conductor.epochs(epochs):
        network.train()
        for inputs, wanted in conductor.steps(batches):
            optimizer.zero_grad()
            loss_of(network(inputs), wanted).backward()
            optimizer.step()
        network.eval()
        conductor.validating()


def export(network: nn.Module, raw: Raw, folder: Path) -> Program:
    """Lower a trained network and write everything that it is deployed as."""
    samples = raw.reals(raw.draw(32, seed=1)[0])
    return quantlab.export_network(network, raw.spec, folder, samples=samples).program
