"""Random networks with dead filters, for the tests of their removal.

A network is a list of steps, each of which makes a value of values before it: layers, batch norms,
sums, concatenations, gates, layers that are called again.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

SIDE = 6
Shape = tuple[int, int]  # channels and side


@dataclass(frozen=True, kw_only=True)
class Step:
    """A function of a layer, "" for none, and of values by their numbers."""

    do: Callable[..., Tensor]
    layer: str
    values: tuple[int, ...]


class Steps(nn.Module):
    """Carries out steps on images `[N, 3, SIDE, SIDE]`; the last value is the result."""

    def __init__(self, layers: dict[str, nn.Module], steps: Sequence[Step]) -> None:
        super().__init__()
        self.layers = nn.ModuleDict(layers)
        self._steps = steps

    def forward(self, x: Tensor) -> Tensor:
        values = [x]
        for step in self._steps:
            layer = [self.layers[step.layer]] if step.layer else []
            values.append(step.do(*layer, *(values[number] for number in step.values)))
        return values[-1]


def call(layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return layer(x)


def add(x: Tensor, y: Tensor) -> Tensor:
    return x + y


def relu_of_sum(x: Tensor, y: Tensor) -> Tensor:
    return functional.relu(x - y)


def concat(*x: Tensor) -> Tensor:
    return torch.cat(x, 1)


def gate(layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return x * torch.sigmoid(layer(functional.adaptive_avg_pool2d(x, 1)))


def half(x: Tensor) -> Tensor:
    return x[:, : x.shape[1] // 2]


def flat(x: Tensor) -> Tensor:
    return x.view(x.size(0), -1)


def mean(x: Tensor) -> Tensor:
    return x.mean((2, 3))


class _Writer:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.layers: dict[str, nn.Module] = {}
        self.steps: list[Step] = []
        self.shapes: list[Shape] = [(3, SIDE)]

    def add(self, do: Callable[..., Tensor], values: tuple[int, ...], shape: Shape) -> None:
        self.steps.append(Step(do=do, layer="", values=values))
        self.shapes.append(shape)

    def call(
        self, layer: nn.Module, value: int, shape: Shape, do: Callable[..., Tensor] = call
    ) -> None:
        name = f"layer{len(self.layers)}"
        self.layers[name] = layer
        self.steps.append(Step(do=do, layer=name, values=(value,)))
        self.shapes.append(shape)

    def again(self) -> None:
        """Call a layer that was called before on what has the same shape as it had."""
        step = self.random.choice([s for s in self.steps if s.layer and s.do is call])
        (source,) = step.values
        same = [n for n, shape in enumerate(self.shapes) if shape == self.shapes[source]]
        made = self.shapes[1 + self.steps.index(step)]
        self.steps.append(Step(do=call, layer=step.layer, values=(self.random.choice(same),)))
        self.shapes.append(made)

    def convolution(self, source: int) -> None:
        pick, (channels, side) = self.random.choice, self.shapes[source]
        groups = pick([g for g in (1, 1, 2, channels) if channels % g == 0])
        outputs = groups * pick([1, 2]) if groups > 1 else pick([4, 6])
        kernel, bias = pick([1, 3]), pick([True, False])
        mode = pick(["zeros", "zeros", "circular"])
        padding = pick([kernel // 2, kernel // 2, 0])
        smaller = side - kernel + 1 + 2 * padding
        if smaller < 2:
            padding, smaller = kernel // 2, side
        conv = nn.Conv2d(channels, outputs, kernel, 1, padding, 1, groups, bias, padding_mode=mode)
        self.call(conv, source, (outputs, smaller))

    def step(self) -> None:
        pick = self.random.choice
        source = len(self.shapes) - 1 if self.random.random() < 0.7 else self.value()
        channels, side = shape = self.shapes[source]
        same = [n for n, other in enumerate(self.shapes) if other == shape]
        beside = [n for n, other in enumerate(self.shapes) if other[1] == side]
        match pick("ccccbbaappjjskghuit"):
            case "c":
                self.convolution(source)
            case "b":
                self.call(nn.BatchNorm2d(channels), source, shape)
            case "a":
                kinds = [nn.ReLU, nn.Hardswish, nn.Sigmoid, nn.ReLU6, nn.LeakyReLU, nn.Dropout]
                self.call(pick(kinds)(), source, shape)
            case "p" if side > 3:
                pools = [nn.MaxPool2d(2), nn.AvgPool2d(2), nn.AvgPool2d(3, 2, 1)]
                pool = pick(pools)
                self.call(
                    pool, source, (channels, (side + 1) // 2 if pool is pools[2] else side // 2)
                )
            case "j":
                self.add(pick([add, relu_of_sum]), (source, pick(same)), shape)
            case "s" | "k":
                other = pick(beside)
                both = channels + self.shapes[other][0]
                if both <= 16:
                    self.add(concat, (source, other), (both, side))
            case "g":
                self.call(nn.Conv2d(channels, channels, 1), source, shape, gate)
            case "h" if channels % 2 == 0:
                self.add(half, (source,), (channels // 2, side))
            case "u":
                self.again() if any(s.layer and s.do is call for s in self.steps) else None
            case "i":
                self.call(nn.PReLU(channels), source, shape)
            case "t" if side < 4:
                conv = nn.ConvTranspose2d(channels, 4, 2, 2)
                self.call(conv, source, (4, 2 * side))
            case _:
                self.convolution(source)

    def value(self) -> int:
        return self.random.randrange(len(self.shapes))


def random_network(seed: int) -> nn.Module:
    """Return a network in float64 and evaluation, some of whose filters are dead; its inputs are
    `[N, 3, SIDE, SIDE]`, its outputs `[N, 4]`."""
    writer = _Writer(seed)
    writer.convolution(0)
    for _ in range(writer.random.randint(2, 14)):
        writer.step()
    last = len(writer.shapes) - 1
    channels, side = writer.shapes[last]
    is_flat = writer.random.random() < 0.5
    writer.add(flat if is_flat else mean, (last,), (channels, 0))
    features = channels * side * side if is_flat else channels
    writer.call(nn.Linear(features, 5), last + 1, (5, 0))
    writer.call(nn.ReLU(), last + 2, (5, 0))
    writer.call(nn.Linear(5, 4), last + 3, (4, 0))
    network = Steps(writer.layers, writer.steps).double().eval()
    fill(network, seed)
    return network


@torch.no_grad()
def fill(network: nn.Module, seed: int, *, dead: float = 0.4) -> None:
    """Fill a network by chance: of each layer, some filters and some columns are zero.

    dead: the most of its filters that are.
    """
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            assert module.running_var is not None
            assert module.running_mean is not None
            module.running_var.copy_(torch.rand(module.num_features, generator=generator) + 0.5)
            for tensor in (module.running_mean, module.weight, module.bias):
                tensor.copy_(torch.randn(module.num_features, generator=generator))
        weight = getattr(module, "weight", None)
        if isinstance(weight, Tensor) and weight.ndim > 1:
            weight.copy_(torch.randn(weight.shape, generator=generator) / weight[0].numel() ** 0.5)
            for axis, share in ((0, dead), (1, dead / 2)):
                size = weight.shape[axis]
                drawn = torch.rand((), generator=generator)
                number = size if drawn > 0.95 and dead else int(drawn * share * size + 0.5)
                gone = torch.randperm(size, generator=generator)[:number]
                weight.index_fill_(axis, gone, 0.0)


def num_weights(network: nn.Module) -> int:
    """Return how many elements all weights of layers have; shared ones count once."""
    weights = {id(p): p for p in network.parameters() if p.ndim > 1}
    return sum(weight.numel() for weight in weights.values())
