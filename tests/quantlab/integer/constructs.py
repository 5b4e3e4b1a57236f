"""What networks of one construct each are made of, quantized to 8 bits and calibrated."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from quantlab.algorithms import QuantizeConfig, quantize
from quantlab.algorithms.after_training import calibrate
from quantlab.graphs.select import LAYER_TYPES
from quantlab.quantizer import Quantizer
from tests.quantlab.integer.networks import pixels, reals

Body = Callable[[Any, Tensor], Tensor]
CHANNELS, SIDE = 8, 9  # of what a body is given


class Of(nn.Module):
    """A module of one forward pass, and of the layers that it names."""

    def __init__(self, body: Body, **layers: Any) -> None:
        super().__init__()
        self.body = body
        for name, layer in layers.items():
            if isinstance(layer, Tensor) and not isinstance(layer, nn.Parameter):
                self.register_buffer(name, layer)
            else:
                setattr(self, name, layer)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(self, x)


class Around(nn.Module):
    """A stem, a construct in the middle, and a head."""

    def __init__(self, middle: nn.Module) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, CHANNELS, 3, padding=1), nn.BatchNorm2d(CHANNELS), nn.ReLU()
        )
        self.middle = middle
        with torch.no_grad():
            shape = middle.eval()(torch.zeros(2, CHANNELS, SIDE, SIDE)).shape
        self.head: nn.Module
        if len(shape) == 4:
            conv = nn.Conv2d(shape[1], 6, 1)
            self.head = nn.Sequential(conv, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5))
        else:
            self.head = nn.Linear(shape[1], 5)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(self.middle(self.stem(x)))
        return scores


def conv(outputs: int = CHANNELS, **settings: Any) -> nn.Module:
    return nn.Conv2d(CHANNELS, outputs, 3, padding=1, **settings)


def numbers(*shape: int, least: float | None = None) -> Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(7))
    return values if least is None else values.abs() + least


class TutorialLeNet(nn.Module):
    """Of PyTorch's tutorials, on an image of 9 x 9."""

    def __init__(self, ending: Callable[["TutorialLeNet", Tensor], Tensor]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1)
        self.conv2 = nn.Conv2d(6, 16, 3)
        self.fc1 = nn.Linear(16 * 1 * 1, 12)
        self.fc2 = nn.Linear(12, 5)
        self.ending = ending

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(functional.relu(self.conv1(x)), (2, 2))
        x = functional.max_pool2d(functional.relu(self.conv2(x)), 2)
        return self.ending(self, x)

    def num_flat_features(self, x: Tensor) -> int:
        count = 1
        for size in x.size()[1:]:
            count *= size
        return count

    def scores(self, x: Tensor) -> Tensor:
        x = functional.dropout(functional.relu(self.fc1(x)), training=self.training)
        scores: Tensor = self.fc2(x)
        return scores


def middle(body: Body, **layers: Any) -> Callable[[], nn.Module]:
    return lambda: Around(Of(body, **{k: v() if callable(v) else v for k, v in layers.items()}))


def lenet(ending: Callable[[TutorialLeNet, Tensor], Tensor]) -> Callable[[], nn.Module]:
    return lambda: TutorialLeNet(ending)


def built(network: nn.Module) -> nn.Module:
    """Return a network quantized to 8 bits and calibrated, its batch norms of either sign."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.weight.normal_()
                module.bias.normal_()
    return quantized(network, on_inputs="!first")


def quantized(network: nn.Module, on_inputs: str | None = None) -> nn.Module:
    """Return a network whose weights have 8 bits, in float64; and its inputs if these are selected,
    calibrated then."""
    network = network.double().eval()
    algorithm = {"kind": "ste", "num_bits": 8}
    layers = [n for n, m in network.named_modules() if isinstance(m, LAYER_TYPES)]
    rules = [{"select": " | ".join(layers), "on": "weight", "algorithm": algorithm}]
    if on_inputs is not None:
        rules.append({"select": on_inputs, "on": "input", "algorithm": algorithm})
    quantize(network, QuantizeConfig.model_validate({"rules": rules}).rules)
    if on_inputs is not None:
        calibrate(network, [reals(pixels(32, 1))])
        return network
    for name in layers:
        quantizer = network.get_submodule(f"{name}.weight_quantizer")
        assert isinstance(quantizer, Quantizer)
        quantizer.observe(network.get_parameter(f"{name}.weight"))
        quantizer.set_enabled(True)
    return network
