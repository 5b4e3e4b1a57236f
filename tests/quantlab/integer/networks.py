"""Small quantized networks in float64, whose fake-quantized result has no rounding of its own."""

from typing import Any

import torch
from torch import Tensor, nn

from quantlab.algorithms import QuantizeConfig, quantize
from quantlab.algorithms.start import observed
from quantlab.controller import Alone
from quantlab.graphs.operations import Add
from quantlab.integer.lower import InputSpec
from quantlab.quantizer import Quantizer

SPEC = InputSpec(shape=(3, 9, 9), scale=(0.02, 0.02, 0.02), zero_point=(120, 120, 120))


def pixels(count: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (count, *SPEC.shape), generator=generator, dtype=torch.uint8)


def reals(raw: Tensor, spec: InputSpec = SPEC) -> Tensor:
    zero = torch.tensor(spec.zero_point, dtype=torch.float64).view(-1, 1, 1)
    scale = torch.tensor(spec.scale, dtype=torch.float64).view(-1, 1, 1)
    return (raw.double() - zero) * scale


def plain(channels: int = 6) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, channels, 3, padding=1),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(channels, 8, 3, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU6(),
        nn.Flatten(),
        nn.Linear(8 * 4, 5),
    )


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.bn = nn.BatchNorm2d(8)
        self.left = nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.right = nn.Conv2d(8, 8, 1)
        self.relu = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        stem = self.relu(self.bn(self.stem(x)))
        y = self.relu(self.left(stem) + self.right(stem))
        z = self.relu(y + stem)
        out: Tensor = self.fc(self.pool(z).flatten(1))
        return out


class PreActivation(nn.Module):
    """Residual, with batch norms in front of quantizers: sums are read both as they are and behind
    one."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3)
        self.bns = nn.ModuleList(nn.BatchNorm2d(6) for _ in range(3))
        self.relus = nn.ModuleList((nn.ReLU(), nn.Identity(), nn.ReLU6()))
        self.convs = nn.ModuleList(nn.Conv2d(6, 6, 3, padding=1) for _ in range(3))
        self.fc = nn.Linear(6 * 49, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for bn, relu, conv in zip(self.bns, self.relus, self.convs, strict=True):
            x = x + conv(relu(bn(x)))
        out: Tensor = self.fc(x.flatten(1))
        return out


class Block(nn.Module):
    """Two convolutions and what they add to, brought to their size where that differs."""

    def __init__(self, num_inputs: int, num_outputs: int) -> None:
        super().__init__()
        stride = num_outputs // num_inputs
        self.conv1 = nn.Conv2d(num_inputs, num_outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(num_outputs)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(num_outputs, num_outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(num_outputs)
        self.shortcut = nn.Conv2d(num_inputs, num_outputs, 1, stride) if stride > 1 else None
        self.add = Add()
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        total: Tensor = self.relu2(self.add(y, x if self.shortcut is None else self.shortcut(x)))
        return total


def resnet8() -> nn.Module:
    """The ResNet-8 of MLPerf Tiny, for images of 3 x 32 x 32."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        Block(16, 16),
        Block(16, 32),
        Block(32, 64),
        nn.AvgPool2d(8),
        nn.Flatten(),
        nn.Linear(64, 10),
    )


def settled(network: nn.Module, bits: int = 4, seed: int = 0, **settings: Any) -> nn.Module:
    """Quantize a network and start its quantizers; batch norms have factors of either sign."""
    generator = torch.Generator().manual_seed(seed)
    network = network.double()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                size = module.weight.shape
                module.weight.copy_(torch.randn(size, generator=generator))
                module.weight[0] = 0.0
                module.bias.copy_(torch.randn(size, generator=generator))
                module.running_mean.copy_(torch.randn(size, generator=generator))
                module.running_var.copy_(torch.rand(size, generator=generator) + 0.1)
    algorithm = {"kind": "lsq", "num_bits": bits, "start_epoch": 0, **settings}
    rules = [
        {"select": "*", "on": "weight", "algorithm": algorithm},
        {"select": "!first", "on": "input", "algorithm": {**algorithm, "observe_steps": 1}},
    ]
    quantize(network, QuantizeConfig.model_validate({"rules": rules}).rules)
    network.double()
    quantizers = {name: m for name, m in network.named_modules() if isinstance(m, Quantizer)}
    for name, quantizer in quantizers.items():
        if name.endswith("weight_quantizer"):
            quantizer.observe(network.get_parameter(name.replace("_quantizer", "")))
            quantizer.set_enabled(True)
    waiting = observed(quantizers)
    for one in waiting.values():
        one.set_observing(True)
    with torch.no_grad():
        network.train()
        momenta = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
        for module in momenta:
            module.eval()
        network(reals(pixels(16, seed)))
    for one in waiting.values():
        assert one.observer is not None
        low, high = one.observer.minimum, one.observer.maximum
        one.start(low, high, Alone())
    return network.eval()
