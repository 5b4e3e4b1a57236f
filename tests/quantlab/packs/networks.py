"""Small networks with generated layers, batch norms with statistics, and quantized layers."""

import torch
from torch import Tensor, nn
from torch.nn import functional

import quantlab
from quantlab.generation import MLGConv2d, MLGLinear, MLGSpec

SPEC = MLGSpec(base_in=2, base_out=6)


class Small(nn.Module):
    """A stem, two generated convolutions, and a generated layer behind a flattened image."""

    def __init__(self, spec: MLGSpec = SPEC) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.norm0 = nn.BatchNorm2d(16)
        self.conv = MLGConv2d(16, 16, 3, padding=1, bias=False, spec=spec)
        self.norm = nn.BatchNorm2d(16)
        self.down = MLGConv2d(16, 24, 1, stride=2, spec=spec)
        self.relu0, self.relu = nn.ReLU(), nn.ReLU()
        self.hidden = MLGLinear(24 * 4 * 4, 20, spec=spec)
        self.fc = nn.Linear(20, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu0(self.norm0(self.stem(x)))
        x = x + self.norm(self.conv(x))
        x = self.relu(self.down(x))
        return self.fc(self.hidden(torch.flatten(x, 1)))


class Various(nn.Module):
    """Operations of all kinds on few numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = MLGConv2d(3, 4, 3, spec=MLGSpec(base_in=2, base_out=2))
        self.pooled, self.largest = nn.MaxPool2d(2), nn.MaxPool2d(2, 1)
        self.mean = nn.AvgPool2d(2, 1, padding=1)
        self.slopes, self.shares = nn.PReLU(4), nn.Softmax(1)
        self.deep, self.fc = nn.Conv2d(4, 4, 1, groups=4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pooled(torch.relu(self.conv(x)))
        y = self.mean(self.largest(x))
        x = functional.pad(self.slopes(x * 2), (1, 0, 0, 1))
        x = self.deep(x[:, :, :3, :3] + y[:, :, :3, :3])
        return self.shares(self.fc(x.mean((2, 3))))


def small(spec: MLGSpec = SPEC, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return with_statistics(Small(spec))


def with_statistics(network: nn.Module) -> nn.Module:
    """A network whose batch norms change what passes."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    return network.eval()


def quantized(kind: str, **settings: object) -> nn.Module:
    """A plain network with quantized weights."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, groups=8),
        nn.Flatten(),
        nn.Linear(8 * 16, 10),
    )
    algorithm = {"kind": kind, **settings}
    quantlab.quantize(network, [{"select": "*", "on": "weight", "algorithm": algorithm}])
    with_statistics(network)
    quantlab.calibrate(network, [images()])
    return network


def images(count: int = 4) -> Tensor:
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(1))
