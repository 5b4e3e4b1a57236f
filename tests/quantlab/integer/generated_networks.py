"""Small networks whose weights are generated, in float64, with inputs of 8 bits."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from quantlab.algorithms import quantize
from quantlab.algorithms.after_training import calibrate
from quantlab.generation import convert
from quantlab.generation.layers import generated_layers
from tests.quantlab.integer.networks import pixels, reals

STE = {"kind": "ste", "num_bits": 8}
SAMPLES = reals(pixels(64, 3))


def around(
    layer: nn.Module, channels: int = 8, before: Callable[[], nn.Module] = nn.ReLU
) -> nn.Module:
    """A network with a layer of 8 channels in its middle."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        before(),
        layer,
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(4 * channels, 5),
    )


class OfRows(nn.Module):
    """A Linear over rows of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.relu = nn.ReLU()
        self.rows = nn.Linear(28, 6)
        self.fc = nn.Linear(4 * 7 * 6 // 4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = self.rows(self.relu(self.conv(x)).reshape(-1, 7, 28))
        scores: torch.Tensor = self.fc(rows.flatten(1))
        return scores


# A network, what is generated of it, and how.
CASES: Mapping[str, tuple[Callable[[], nn.Module], dict[str, Any]]] = {
    "three factors": (lambda: around(nn.Conv2d(8, 8, 3, padding=1)), {"base_in": 2, "base_out": 5}),
    "stride and no border": (
        lambda: around(nn.Conv2d(8, 12, 3, 2, bias=False), 12), {"base_in": 3, "base_out": 4},
    ),
    "signed inputs": (
        lambda: around(nn.Conv2d(8, 8, 3, padding=1), before=nn.Identity),
        {"base_in": 2, "base_out": 5},
    ),
    "dilated": (
        lambda: around(nn.Conv2d(8, 8, 3, padding=2, dilation=2)), {"base_in": 1, "base_out": 5},
    ),
    "groups": (
        lambda: around(nn.Conv2d(8, 12, 3, padding=1, groups=2), 12),
        {"base_in": 2, "base_out": 3},
    ),
    "depthwise": (
        lambda: around(nn.Conv2d(8, 8, 3, padding=1, groups=8)), {"base_in": 2, "base_out": 3},
    ),
    "no coefficients of outputs": (
        lambda: around(nn.Conv2d(8, 4, 3, padding=1, groups=2), 4), {"base_in": 2, "base_out": 9},
    ),
    "no coefficients of inputs": (
        lambda: around(nn.Conv2d(8, 8, 3, padding="same")), {"base_in": 0, "base_out": 5},
    ),
    "1x1": (lambda: around(nn.Conv2d(8, 8, 1, 2)), {"base_in": 2, "base_out": 5}),
    "the first layer": (
        lambda: around(nn.Conv2d(8, 8, 1)), {"base_in": 2, "base_out": 5, "layers": "first"},
    ),
    "a linear layer": (
        lambda: around(nn.Conv2d(8, 8, 1)),
        {"base_in": 2, "base_out": 3, "layers": "last"},
    ),
    "blocks": (
        lambda: around(nn.Conv2d(8, 8, 1)),
        {"base_in": 2, "base_out": 3, "layers": "last", "linear_block": 4},
    ),
    "blocks without outputs' coefficients": (
        lambda: around(nn.Conv2d(8, 8, 1)),
        {"base_in": 2, "base_out": 0, "layers": "last", "linear_block": 4},
    ),
    "rows": (OfRows, {"base_in": 2, "base_out": 3, "layers": "rows", "linear_block": 4}),
    "rows without blocks": (OfRows, {"base_in": 2, "base_out": 3, "layers": "rows"}),
}  # fmt: skip


def generated(name: str, **settings: Any) -> nn.Module:
    """Return the network of a case, quantized and calibrated. settings: of `convert`."""
    torch.manual_seed(0)
    make, sizes = CASES[name]
    network = make().double()
    convert(network, {"layers": "3", **sizes, **settings})
    names = [f"!{path}" for path, _ in generated_layers(network)]
    rules = [
        {"select": " & ".join(["*", *names]), "on": "weight", "algorithm": STE},
        {"select": "!first", "on": "input", "algorithm": STE},
    ]
    quantize(network, rules)
    network.double().eval()
    calibrate(network, [SAMPLES])
    return network
