"""Networks, a quantizer and comparisons for the tests of graphs."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from quantlab.numerics.affine import fake_quantize
from quantlab.quantizer import Quantizer, QuantSpec


class Grid(Quantizer):
    """The least that a quantizer needs, with a learned scale."""

    def __init__(self, num_bits: int = 4, *, signed: bool = True, scale: float = 0.1) -> None:
        super().__init__(QuantSpec(num_bits=num_bits, signed=signed))
        self.scale = nn.Parameter(torch.tensor(scale))
        self.set_enabled(True)

    def observe(self, x: Tensor) -> None:
        self.scale.data.fill_(float(x.abs().max()) / self.quant_max)

    def fake_quantize(self, x: Tensor) -> Tensor:
        return fake_quantize(
            x, self.scale, self.zero_point, quant_min=self.quant_min, quant_max=self.quant_max
        )


class CarryingConv2d(nn.Conv2d):
    """A convolution that applies quantizers, as those of `quantlab.algorithms.layers` do."""

    has_open_edges = False

    def __init__(self, *args: Any, quantizers: dict[str, Quantizer], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for slot in ("weight_quantizer", "input_quantizer", "output_quantizer"):
            self.register_module(slot, quantizers.get(slot))

    def forward(self, input: Tensor) -> Tensor:
        def through(quantizer: Any, x: Tensor) -> Tensor:
            return x if quantizer is None else quantizer(x)

        weight = through(self.weight_quantizer, self.weight)
        if self.has_open_edges:
            return self._conv_forward(input, weight, self.bias)
        x = through(self.input_quantizer, input)
        return through(self.output_quantizer, self._conv_forward(x, weight, self.bias))


class Block(nn.Module):
    """A residual block as torchvision writes it: one ReLU for all places, `+=`, a functional."""

    def __init__(self, channels: int = 4) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += x
        return self.relu(out)


class Residual(nn.Module):
    """A stem, two blocks, and a head of functions."""

    def __init__(self, channels: int = 4) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 3, stride=2, padding=1)
        self.layer1 = nn.Sequential(Block(channels), Block(channels))
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(channels, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.stem(x))
        x = functional.adaptive_avg_pool2d(self.layer1(x), 1)
        return self.fc(self.dropout(torch.flatten(x, 1)))


def settle(network: nn.Module, seed: int = 0) -> nn.Module:
    """Fill a network, batch norms' factors and statistics included, and return it in float64 and
    evaluation mode. Some factors are negative, some are 0."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(tensor: Tensor, low: float, high: float) -> None:
        tensor.data = torch.rand(tensor.shape, generator=generator) * (high - low) + low

    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            if module.running_mean is not None and module.running_var is not None:
                uniform(module.running_mean, -1, 1)
                uniform(module.running_var, 0.2, 3)
            if module.affine:
                uniform(module.weight, -2, 2)
                uniform(module.bias, -1, 1)
                module.weight.data[:1] = 0
        elif isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear):
            uniform(module.weight, -2, 2)
            if module.bias is not None:
                uniform(module.bias, -2, 2)
    return network.double().eval()


def difference(a: Tensor, b: Tensor) -> float:
    """Return the largest difference relative to the largest number."""
    assert a.shape == b.shape
    return float((a - b).abs().max() / b.abs().max().clamp(min=1e-30))


def run(network: nn.Module, x: Tensor) -> Tensor:
    """Return a network's result; the input keeps its values."""
    with torch.no_grad():
        result: Tensor = network(x.clone())
        return result


def calls(gm: fx.GraphModule) -> list[str]:
    """Return the paths of the modules that a graph calls, in order."""
    return [str(n.target) for n in gm.graph.nodes if n.op == "call_module"]


def functions(gm: fx.GraphModule) -> list[str]:
    """Return the names of the functions and methods that a graph calls."""
    return [
        n.target if isinstance(n.target, str) else n.target.__name__
        for n in gm.graph.nodes
        if n.op in ("call_function", "call_method")
    ]


def everything(gm: fx.GraphModule) -> dict[str, object]:
    """Return all that makes up a network: graph, code, objects, classes, attributes, bits."""
    found: dict[str, object] = {"graph": str(gm.graph), "code": gm.code}
    for name, module in gm.named_modules(remove_duplicate=False):
        found[name, "object"] = (id(module), type(module))
        for key, value in vars(module).items():
            # The text of the root's graph is compared instead.
            if module is not gm or key not in ("_graph", "_code", "_lineno_map"):
                found[name, key] = list(_identity(value))
    return found


def _identity(value: Any) -> Iterator[object]:
    """Yield what a value is: of tables the content, of tensors object and bits, else the object or,
    where equal means the same, the value."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield (id(value), key)
            yield from _identity(part)
    elif isinstance(value, list | tuple | set):
        yield type(value)
        for part in value:
            yield from _identity(part)
    elif isinstance(value, Tensor):
        yield (id(value), value.requires_grad, value.dtype, tuple(value.shape))
        yield value.detach().contiguous().reshape(-1).view(torch.uint8).tolist()
    elif isinstance(value, bool | int | float | str | type(None)):
        yield (type(value), value)
    else:
        yield id(value)
