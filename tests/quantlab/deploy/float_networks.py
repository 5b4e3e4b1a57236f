"""Networks of floats, one for each thing that C of floats has a form of, and random ones."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from quantlab.floats.lower.grids import OnGrid

Shape = tuple[int, ...]
IMAGE: Shape = (3, 9, 8)


class Calls(nn.Module):
    """A function of the input and of layers."""

    def __init__(self, function: Callable[..., Tensor], *layers: nn.Module) -> None:
        super().__init__()
        self.function, self.layers = function, nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *self.layers)


class Weights(nn.Module):
    """Layers as functions of the network's own parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel, self.bias = nn.Parameter(torch.ones(4, 3, 3, 3)), nn.Parameter(torch.ones(4))
        self.scores = nn.Parameter(torch.ones(5, 4 * 7 * 6))
        self.register_buffer("mean", torch.full((4,), 0.25))
        self.register_buffer("variance", torch.full((4,), 1.5))

    def forward(self, x: Tensor) -> Tensor:
        x = functional.conv2d(x, self.kernel, self.bias)
        x = functional.batch_norm(x, self.mean, self.variance, self.bias, self.bias)
        return functional.linear(functional.prelu(x, self.bias).flatten(1), self.scores)


def settled(network: nn.Module, seed: int = 0) -> nn.Module:
    """Return a network in evaluation whose batch norms have seen something."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            size = 1 / max(1, parameter[0].numel()) ** 0.5 if parameter.ndim else 1.0
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * size)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.copy_(torch.randn(module.num_features, generator=generator))
                module.running_var.copy_(torch.rand(module.num_features, generator=generator) + 0.5)
    return network.eval()


def pruned(network: nn.Module, density: float, seed: int = 0) -> nn.Module:
    """Return a network of which only so many weights are not zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("weight"):
                parameter.mul_(torch.rand(parameter.shape, generator=generator) < density)
    return network


def _scaled(x: Tensor, activation: nn.Module) -> Tensor:
    result: Tensor = activation(6 * x)
    return result


def _residual(x: Tensor, first: nn.Module, second: nn.Module) -> Tensor:
    return functional.relu(first(x) + second(functional.relu(first(x))))


def _gated(x: Tensor, layer: nn.Module) -> Tensor:
    left, right = layer(x).chunk(2, 1)
    return left * torch.sigmoid(right)  # type: ignore[no-any-return]


def _squeezed(x: Tensor, first: nn.Module, second: nn.Module) -> Tensor:
    pooled = x.mean((2, 3), keepdim=True)
    return x * torch.sigmoid(second(functional.relu(first(pooled))))


_CENTER = torch.tensor([0.1, -0.2, 0.3]).view(1, 3, 1, 1)
_SPREAD = torch.tensor([0.5, 0.6, 0.7]).view(1, 3, 1, 1)

ACTIVATIONS: Mapping[str, nn.Module] = {
    "ReLU": nn.ReLU(),
    "ReLU6": nn.ReLU6(),
    "Hardtanh": nn.Hardtanh(-0.5, 0.7),
    "LeakyReLU": nn.LeakyReLU(0.1),
    "Sigmoid": nn.Sigmoid(),
    "Tanh": nn.Tanh(),
    "SiLU": nn.SiLU(),
    "Hardswish": nn.Hardswish(),
    "Hardsigmoid": nn.Hardsigmoid(),
    "GELU": nn.GELU(),
    "GELU by tanh": nn.GELU("tanh"),
    "ELU": nn.ELU(1.3),
    "Softplus": nn.Softplus(2.0, 15.0),
    "Mish": nn.Mish(),
    "Softsign": nn.Softsign(),
    "PReLU": nn.PReLU(),
    "PReLU of channels": nn.PReLU(3),
}
CONVOLUTIONS: Mapping[str, Mapping[str, Any]] = {
    "stride": {"stride": 2},
    "same": {"padding": "same"},
    "valid": {"padding": "valid", "bias": False},
    "more padding than the kernel": {"padding": 4, "stride": 3},
    "a padding a side": {"padding": (1, 2), "stride": (1, 2)},
    "dilation": {"dilation": 2, "padding": 2},
    "dilated columns": {"dilation": (1, 2), "padding": "same"},
    "groups": {"groups": 3, "padding": 1},
}
NETWORKS: Mapping[str, tuple[Callable[[], nn.Module], Shape]] = {
    "an activation behind a layer": (
        lambda: nn.Sequential(nn.Conv2d(3, 5, 3), nn.Sigmoid()),
        IMAGE,
    ),
    "depthwise": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 3, 3, groups=3, padding=1, stride=2), nn.BatchNorm2d(3), nn.ReLU6(),
            nn.Conv2d(3, 17, 1),
        ),
        IMAGE,
    ),
    "a grid": (lambda: nn.Sequential(OnGrid(0.05, -8, 7), nn.Conv2d(3, 4, 3)), IMAGE),
    "an uneven kernel": (lambda: nn.Sequential(nn.Conv2d(3, 4, (5, 4), padding=(4, 3))), IMAGE),
    "one dimension": (
        lambda: nn.Sequential(
            nn.Conv1d(4, 6, 3, padding=1, stride=2), nn.BatchNorm1d(6), nn.ReLU(), nn.MaxPool1d(2),
            nn.Conv1d(6, 6, 3, groups=6), nn.AvgPool1d(2, 1, 1), nn.AdaptiveAvgPool1d(2),
            nn.Flatten(), nn.Linear(12, 3),
        ),
        (4, 23),
    ),
    "a transposed convolution": (
        lambda: nn.Sequential(
            nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1), nn.ReLU()
        ),
        IMAGE,
    ),
    "transposed groups": (
        lambda: nn.Sequential(
            nn.ConvTranspose2d(4, 6, (2, 3), stride=(2, 1), groups=2, dilation=2)
        ),
        (4, 5, 6),
    ),
    "one transposed dimension": (
        lambda: nn.Sequential(nn.ConvTranspose1d(4, 2, 4, stride=3)),
        (4, 7),
    ),
    "pooling": (lambda: nn.Sequential(nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(2, 1, 1)), IMAGE),
    "pooling that hangs over": (
        lambda: nn.Sequential(
            nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
        ),
        (3, 14, 13),
    ),
    "dilated pooling": (lambda: nn.Sequential(nn.MaxPool2d(2, 1, dilation=2, padding=1)), IMAGE),
    "another divisor": (lambda: nn.Sequential(nn.AvgPool2d(2, divisor_override=3)), IMAGE),
    "adaptive pooling": (
        lambda: nn.Sequential(nn.AdaptiveAvgPool2d((4, 3)), nn.AdaptiveMaxPool2d((3, 2))),
        IMAGE,
    ),
    "a global average": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2),
            nn.LogSoftmax(1),
        ),
        IMAGE,
    ),
    "pooled layers": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(6, 5, 3, padding=1), nn.MaxPool2d(2, 3), nn.Tanh(),
        ),
        (3, 16, 14),
    ),
    "strides of layers and of their pooling": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1, stride=2), nn.MaxPool2d((2, 1)), nn.ReLU()
        ),
        (3, 16, 14),
    ),
    "a mean over space": (lambda: Calls(lambda x: x.mean((2, 3))), IMAGE),
    "a mean over channels": (lambda: Calls(lambda x: x.mean(1)), IMAGE),
    "a sum that keeps its axes": (lambda: Calls(lambda x: x.sum((1, 3), keepdim=True)), IMAGE),
    "maxima": (lambda: Calls(lambda x: x.amax((2, 3)) + x.max(1)[0].amax((1, 2))[:, None]), IMAGE),
    "a residual and a shared layer": (
        lambda: Calls(_residual, nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)),
        IMAGE,
    ),
    "branches": (
        lambda: Calls(
            lambda x, a, b: torch.cat([a(x), x, b(x)], 1),
            nn.Conv2d(3, 4, 1), nn.Conv2d(3, 2, 3, padding=1),
        ),
        IMAGE,
    ),
    "rows behind rows that are turned": (
        lambda: Calls(lambda x: torch.cat([x, x.flip(3)], 2)),
        IMAGE,
    ),
    "a constant among others": (
        lambda: Calls(lambda x: torch.cat([x, _CENTER.expand(x.shape[0], 3, 9, 8)], 1)),
        IMAGE,
    ),
    "a stack": (lambda: Calls(lambda x: torch.stack([x.mean(1), x.amax(1)], 1)), IMAGE),
    "slices": (lambda: Calls(lambda x: x[:, ::2, 1:, ::3] - x[:, :2, :-1, ::3]), IMAGE),
    "a gate": (lambda: Calls(_gated, nn.Conv2d(3, 8, 1)), IMAGE),
    "squeeze and excitation": (
        lambda: Calls(_squeezed, nn.Conv2d(3, 2, 1), nn.Conv2d(2, 3, 1)),
        IMAGE,
    ),
    "another order of axes": (
        lambda: Calls(lambda x, layer: layer(x.permute(0, 2, 3, 1)), nn.Linear(3, 4)),
        IMAGE,
    ),
    "another shape": (
        lambda: Calls(lambda x, layer: layer(x.view(x.size(0), -1)), nn.Linear(216, 4)),
        IMAGE,
    ),
    "a sequence": (
        lambda: Calls(
            lambda x, layer: layer(x.flatten(2).transpose(1, 2)).mean(1), nn.Linear(3, 4)
        ),
        IMAGE,
    ),
    "shuffles": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 8, 1), nn.PixelShuffle(2), nn.ChannelShuffle(2), nn.Conv2d(2, 3, 3)
        ),
        IMAGE,
    ),
    "upsampling": (
        lambda: nn.Sequential(nn.Conv2d(3, 2, 1), nn.Upsample(scale_factor=2), nn.Conv2d(2, 3, 3)),
        IMAGE,
    ),
    "any size": (lambda: Calls(lambda x: functional.interpolate(x, size=(13, 20))), IMAGE),
    "a constant around": (
        lambda: Calls(lambda x: functional.pad(x, (1, 2, -1, 3), value=0.5)),
        IMAGE,
    ),
    "a reflection": (lambda: nn.Sequential(nn.ReflectionPad2d(2), nn.Conv2d(3, 2, 3)), IMAGE),
    "constants": (lambda: Calls(lambda x: (x - _CENTER) / _SPREAD + (_CENTER - x)), IMAGE),
    "numbers": (lambda: Calls(lambda x: 1 - (x * 2 + 3) / 7), IMAGE),
    "an end and a sign": (lambda: Calls(lambda x: -x.clamp(max=0.4) + x.clip(min=-0.1)), IMAGE),
    "a quotient": (lambda: Calls(lambda x: x / (functional.relu(x) + 1)), IMAGE),
    "a batch norm first": (
        lambda: nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 4, 3)),
        IMAGE,
    ),
    "a batch norm that does not fold": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4)),
        IMAGE,
    ),
    "batch norms of rows": (
        lambda: nn.Sequential(
            nn.Flatten(), nn.Linear(216, 7), nn.BatchNorm1d(7), nn.Dropout(), nn.Identity(),
            nn.Linear(7, 3), nn.Softmax(-1),
        ),
        IMAGE,
    ),
    "softmax along rows": (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Softmax(2)), IMAGE),
    "softmax along channels": (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Softmax(1)), IMAGE),
    "features": (lambda: nn.Sequential(nn.Linear(13, 9), nn.ReLU(), nn.Linear(9, 5)), (13,)),
    "nothing": (lambda: nn.Sequential(nn.Identity(), nn.Flatten()), IMAGE),
    "repeats": (
        lambda: Calls(lambda x: x.repeat(1, 2, 1, 1) + x[:, :1].expand(-1, 6, -1, -1)),
        IMAGE,
    ),
    "layers as functions": (
        lambda: Weights(),
        IMAGE,
    ),
    "functions of two": (
        lambda: Calls(lambda x: torch.maximum(x.abs(), x.exp()) - torch.minimum(x, 2 * x).float()),
        IMAGE,
    ),
    "in place": (
        lambda: Calls(lambda x, layer: functional.relu_(layer(x)).add_(1), nn.Conv2d(3, 3, 1)),
        IMAGE,
    ),
}  # fmt: skip


def random_layers(seed: int) -> tuple[nn.Module, Shape]:
    """Return a network of a few layers of any sizes, some of them pruned, and its input's shape."""
    generator = torch.Generator().manual_seed(seed)

    def any_of(*values: Any) -> Any:
        return values[int(torch.randint(len(values), (), generator=generator))]

    channels = any_of(1, 2, 3, 4, 5, 8, 33)
    shape = (channels, any_of(7, 8, 12), any_of(6, 9, 13))
    layers: list[nn.Module] = []
    for _ in range(any_of(1, 2, 3, 4)):
        groups = any_of(1, 1, 1, channels)
        outputs = groups * any_of(1, 2, 5) if groups > 1 else any_of(1, 3, 4, 7, 16, 65)
        kernel, dilation = (any_of(1, 2, 3), any_of(1, 3)), (any_of(1, 1, 2), any_of(1, 1, 2))
        padding = tuple(d * (k - 1) for d, k in zip(dilation, kernel, strict=True))
        stride = any_of(1, 1, (1, 2), 2)
        layer = nn.Conv2d(
            channels, outputs, kernel, stride, any_of(padding, 1), dilation, groups,
            bias=any_of(True, False),
        )  # fmt: skip
        layers += [layer, *any_of([], [nn.BatchNorm2d(outputs)]), any_of(*ACTIVATIONS_OF_ANY)]
        layers += any_of([], [], [nn.MaxPool2d(any_of(1, 2), ceil_mode=True)], [nn.MaxPool2d(2)])
        channels = outputs
        if min(nn.Sequential(*layers).eval()(torch.zeros(1, *shape)).shape[2:]) < 4:
            break
    network = settled(nn.Sequential(*layers), seed)
    return pruned(network, any_of(1.0, 0.3, 0.05, 0.0), seed), shape


ACTIVATIONS_OF_ANY = tuple(
    module for name, module in ACTIVATIONS.items() if name != "PReLU of channels"
)
