"""Random quantized networks, drawn by hypothesis layer by layer, calibrated and in float64.

Shapes are `[C, H, W]`, of one sample.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from quantlab.algorithms import QuantizeConfig, quantize
from quantlab.algorithms.after_training import calibrate
from quantlab.integer.lower import InputSpec
from tests.quantlab.integer.networks import reals

Shape = tuple[int, ...]
Draw = Callable[[st.SearchStrategy[Any]], Any]
MOST_CHANNELS = 6
MOST_SIDE = 9
ACTIVATIONS: tuple[Callable[[], nn.Module], ...] = (
    nn.ReLU, nn.ReLU6, nn.Hardswish, nn.Sigmoid, nn.SiLU, nn.LeakyReLU, nn.Identity,
    lambda: nn.Hardtanh(-0.5, 0.7), nn.PReLU,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Case:
    """A network to lower. rules, seed: how it was quantized, and its weights drawn. memory_bits,
    sum_bits: as of `lower`."""

    network: nn.Module
    spec: InputSpec
    rules: list[dict[str, Any]]
    seed: int
    threshold_levels: int
    memory_bits: int = 32
    sum_bits: int = 64

    @property
    def samples(self) -> Tensor:
        """What it was calibrated on: `[N, *spec.shape]`, real numbers."""
        return reals(torch.cat([images_for(self.spec, self.seed + n) for n in (1, 2)]), self.spec)

    @property
    def images(self) -> Tensor:
        """Others: `[N, *spec.shape]`, u8."""
        return images_for(self.spec, self.seed)


class Both(nn.Module):
    """Two branches, joined by `how`: add, subtract, cat or multiply."""

    def __init__(self, how: str, left: nn.Module, right: nn.Module) -> None:
        super().__init__()
        self.how, self.left, self.right = how, left, right

    def extra_repr(self) -> str:
        return self.how

    def forward(self, x: Tensor) -> Tensor:
        left, right = self.left(x), self.right(x)
        if self.how == "cat":
            return torch.cat([left, right], 1)
        if self.how == "subtract":
            return left - right
        return left + right if self.how == "add" else left * right


class Of(nn.Module):
    """A function of what it is given, and its description."""

    def __init__(self, how: str, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.how, self.function = how, function

    def extra_repr(self) -> str:
        return self.how

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Mean(nn.Module):
    """Over height and width."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean([2, 3])


def shape_after(layer: nn.Module, shape: Shape) -> Shape:
    with torch.no_grad():
        return tuple(layer.eval()(torch.zeros(1, *shape)).shape[1:])


def _pair(draw: Draw, least: int, most: tuple[int, int]) -> tuple[int, int]:
    height, width = (draw(st.integers(least, max(least, end))) for end in most)
    return height, width


def convolution(draw: Draw, shape: Shape) -> nn.Module:
    channels, height, width = shape
    groups = draw(st.sampled_from([g for g in (1, 2, channels) if channels % g == 0]))
    padding = _pair(draw, 0, (2, 2)) if max(height, width) < MOST_SIDE else (0, 0)
    room = (height + 2 * padding[0], width + 2 * padding[1])
    kernel = _pair(draw, 1, (min(3, room[0]), min(3, room[1])))
    dilation = [draw(st.integers(1, 2)) for _ in kernel]
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    return nn.Conv2d(
        channels,
        groups * draw(st.integers(1, max(1, MOST_CHANNELS // groups))),
        kernel,
        stride=_pair(draw, 1, (2, 2)),
        padding=padding,
        dilation=[d if r <= n else 1 for d, r, n in zip(dilation, reach, room, strict=True)],
        groups=groups,
        bias=draw(st.booleans()),
    )


def same_size(draw: Draw, channels: int, num_outputs: int) -> nn.Module:
    """A convolution that keeps height and width."""
    groups = draw(st.sampled_from([1, channels])) if num_outputs % channels == 0 else 1
    return nn.Conv2d(
        channels, num_outputs, draw(st.integers(1, 3)), padding="same", groups=groups,
        dilation=draw(st.integers(1, 2)), bias=draw(st.booleans()),
    )  # fmt: skip


def batch_norm(draw: Draw, shape: Shape) -> nn.Module:
    return nn.BatchNorm2d(shape[0], affine=draw(st.booleans()))


def activation(draw: Draw, shape: Shape) -> nn.Module:
    return draw(st.sampled_from(ACTIVATIONS))()


def pool_windows(draw: Draw, shape: Shape) -> dict[str, Any]:
    kernel = _pair(draw, 1, (min(3, shape[1]), min(3, shape[2])))
    return {
        "kernel_size": kernel,
        "stride": _pair(draw, 1, (2, 2)),
        "padding": _pair(draw, 0, (kernel[0] // 2, kernel[1] // 2)),
        "ceil_mode": draw(st.booleans()),
    }


def max_pool(draw: Draw, shape: Shape) -> nn.Module:
    windows = pool_windows(draw, shape)
    fits = all(2 * (k - 1) < n for k, n in zip(windows["kernel_size"], shape[1:], strict=True))
    if fits and draw(st.booleans()):  # dilated windows might lie in the padding wholly
        windows |= {"padding": 0, "dilation": 2}
    return nn.MaxPool2d(**windows)


def average_pool(draw: Draw, shape: Shape) -> nn.Module:
    return nn.AvgPool2d(
        **pool_windows(draw, shape),
        count_include_pad=draw(st.booleans()),
        divisor_override=draw(st.sampled_from([None, None, 3])),
    )


def adaptive_pool(draw: Draw, shape: Shape) -> nn.Module:
    return nn.AdaptiveAvgPool2d(_pair(draw, 1, (shape[1] + 1, shape[2] + 1)))


def branch(draw: Draw, shape: Shape, num_outputs: int) -> nn.Module:
    layers = [same_size(draw, shape[0], num_outputs)]
    layers += [batch_norm(draw, (num_outputs,))] if draw(st.booleans()) else []
    return nn.Sequential(*layers, activation(draw, shape))


def addition(draw: Draw, shape: Shape) -> nn.Module:
    channels = shape[0]
    left = nn.Identity() if draw(st.booleans()) else branch(draw, shape, channels)
    return Both("add", left, branch(draw, shape, channels))


def concatenation(draw: Draw, shape: Shape) -> nn.Module:
    left = nn.Identity() if draw(st.booleans()) else branch(draw, shape, 2)
    return Both("cat", left, branch(draw, shape, draw(st.integers(1, 3))))


def gate(draw: Draw, shape: Shape) -> nn.Module:
    excite = nn.Conv2d(shape[0], shape[0], 1)
    squeezed = nn.Sequential(nn.AdaptiveAvgPool2d(1), excite, nn.Sigmoid())
    return Both("multiply", nn.Identity(), squeezed)


def padding(draw: Draw, shape: Shape) -> nn.Module:
    """Around places and channels, by any number; less than nothing cuts."""
    ends = [draw(st.integers(-1 if size > 2 else 0, 1)) for size in shape[::-1] for _ in range(2)]
    number = draw(st.sampled_from([0.0, 0.0, -0.3, 1.7]))
    return Of(f"pad {ends} by {number}", lambda x: functional.pad(x, ends, value=number))


def constants(draw: Draw, shape: Shape) -> nn.Module:
    """A factor and an offset, of one number or of each channel or place."""
    size = draw(st.sampled_from([(), (1,), (shape[0], 1, 1), (1, *shape), shape[2:]]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    factor, offset = (torch.randn(size, generator=generator).double() for _ in range(2))
    how = draw(st.sampled_from(["factor", "offset", "both", "from", "negative"]))
    functions: dict[str, Callable[[Tensor], Tensor]] = {
        "factor": lambda x: x * factor,
        "offset": lambda x: offset + x,
        "both": lambda x: (x - offset) / (factor.abs() + 0.5),
        "from": lambda x: 1 - x,
        "negative": lambda x: -x,
    }
    return Of(f"{how} {tuple(size)}", functions[how])


def moving(draw: Draw, shape: Shape) -> nn.Module:
    """A view, or elements more than once."""
    start, step = draw(st.integers(0, 1)), draw(st.integers(1, 2))
    functions: dict[str, Callable[[Tensor], Tensor]] = {
        "transpose": lambda x: x.transpose(2, 3),
        "permute": lambda x: x.permute(0, 2, 3, 1),
        "rows": lambda x: x[:, :, min(start, shape[1] - 1) :: step],
        "channels": lambda x: x[:, : max(1, shape[0] - start)],
        "stack": lambda x: torch.stack([x, x], 2).flatten(1, 2),
        "expand": lambda x: x[:, :, :1].expand(-1, -1, 2, -1),
        "reverse": lambda x: torch.cat(x.split(2, 1)[::-1], 1),
    }
    if math.prod(shape) < MOST_CHANNELS * MOST_SIDE**2:
        functions["nearest"] = lambda x: functional.interpolate(x, scale_factor=(step, 2))
    how = draw(st.sampled_from(sorted(functions)))
    return Of(f"{how} {start} {step}", functions[how])


def adaptive_max_pool(draw: Draw, shape: Shape) -> nn.Module:
    return nn.AdaptiveMaxPool2d(_pair(draw, 1, (shape[1] + 1, shape[2] + 1)))


def average_over_axes(draw: Draw, shape: Shape) -> nn.Module:
    axes = draw(st.sampled_from([(1,), (2,), (3,), (1, 3), (2, 3)]))
    if draw(st.booleans()):
        return Of(f"mean {axes}", lambda x: x.mean(axes, keepdim=True))
    return Of(f"sum {axes}", lambda x: x.sum(axes, keepdim=True))


def difference(draw: Draw, shape: Shape) -> nn.Module:
    return Both("subtract", nn.Identity(), branch(draw, shape, shape[0]))


def transposed(draw: Draw, shape: Shape) -> nn.Module:
    """A transposed convolution, as far as the image is small."""
    channels, is_small = shape[0], max(shape[1:]) <= MOST_SIDE // 2
    groups = draw(st.sampled_from([g for g in (1, 2, channels) if channels % g == 0]))
    stride = _pair(draw, 1, (3, 3)) if is_small else (1, 1)
    kernel = _pair(draw, 1, (3, 3))
    room = [s * (n - 1) + k for s, n, k in zip(stride, shape[1:], kernel, strict=True)]
    return nn.ConvTranspose2d(
        channels,
        groups * draw(st.integers(1, max(1, MOST_CHANNELS // groups))),
        kernel,
        stride=stride,
        padding=[draw(st.integers(0, min(2, (n - 1) // 2))) for n in room],
        output_padding=[draw(st.integers(0, s - 1)) for s in stride],
        groups=groups,
        bias=draw(st.booleans()),
        dilation=draw(st.integers(1, 2)),
    )


def one_axis(draw: Draw, shape: Shape) -> nn.Module:
    """Layers of one axis, over all places of an image."""
    channels, width = shape[0], math.prod(shape[1:])
    outputs = draw(st.integers(1, MOST_CHANNELS))
    kernel = draw(st.integers(1, min(3, width)))
    layers: list[nn.Module] = [
        Of("rows", lambda x: x.flatten(2)),
        nn.Conv1d(channels, outputs, kernel, draw(st.integers(1, 2)), draw(st.integers(0, 1))),
    ]
    layers += [nn.BatchNorm1d(outputs)] if draw(st.booleans()) else []
    layers.append(activation(draw, shape))
    pools = (nn.MaxPool1d(1, 2), nn.AvgPool1d(1), nn.AdaptiveAvgPool1d(3), nn.AdaptiveMaxPool1d(2))
    layers += [draw(st.sampled_from(pools))] if draw(st.booleans()) else []
    return nn.Sequential(*layers, Of("image", lambda x: x.unsqueeze(2)))


BLOCKS = (
    convolution, batch_norm, activation, max_pool, average_pool, adaptive_pool, addition,
    concatenation, gate, padding, constants, moving, adaptive_max_pool, average_over_axes,
    difference, transposed, one_axis,
)  # fmt: skip


def head(draw: Draw, shape: Shape) -> list[nn.Module]:
    """From an image to scores; or none, so that the image is the result."""
    kind = draw(st.sampled_from(["flatten", "pool", "mean", "two", "none"]))
    if kind == "none":
        return []
    if kind == "mean":
        return [Mean(), nn.Linear(shape[0], 5)]
    layers: list[nn.Module] = [nn.AdaptiveAvgPool2d(1)] if kind == "pool" else []
    layers.append(nn.Flatten())
    (size,) = shape_after(nn.Sequential(*layers), shape)
    if kind == "two":
        layers += [nn.Linear(size, 4, bias=False), nn.BatchNorm1d(4), activation(draw, shape)]
        size = 4
    return [*layers, nn.Linear(size, 5)]


def layers(draw: Draw, shape: Shape) -> nn.Module:
    found: list[nn.Module] = []
    kinds = draw(st.lists(st.sampled_from(BLOCKS), max_size=7))
    start = draw(st.integers(0, min(1, len(kinds))))  # what comes before the first convolution
    for kind in (*kinds[:start], convolution, *kinds[start:]):
        if kind is concatenation and shape[0] > MOST_CHANNELS:
            continue
        found.append(kind(draw, shape))
        shape = shape_after(found[-1], shape)
    return nn.Sequential(*found, *head(draw, shape))


def settle(network: nn.Module, seed: int, *, is_odd: bool) -> None:
    """Give a network weights, and batch norms factors of either sign. is_odd: some weights and
    factors are zero, and batch norms have seen very small and very large numbers."""
    generator = torch.Generator().manual_seed(seed)

    def normal(size: torch.Size) -> Tensor:
        return torch.randn(size, generator=generator, dtype=torch.float64)

    def one_of(usual: float, *odd: float) -> float:
        index = int(torch.randint(len(odd) + 1, (), generator=generator))
        return (usual, *odd)[index] if is_odd else usual

    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.copy_(normal(module.running_mean.shape) * one_of(1, 0, 30))
                variance = normal(module.running_var.shape) ** 2 + 0.1
                variance[0] = one_of(1, 0, 1e-9, 1e9)
                module.running_var.copy_(variance * one_of(1, 1e4))
        for name, parameter in network.named_parameters():
            size = one_of(1, 0, 20) if name.endswith("bias") else one_of(1, 0.05)
            parameter.copy_(normal(parameter.shape) * size)
            parameter[0] *= one_of(1, 1, 0 if len(parameter) > 1 else 1)


def weight_algorithm(draw: Draw) -> dict[str, Any]:
    kind = draw(st.sampled_from(["ste", "lsq", "twn", "binary"]))
    granularity = draw(st.sampled_from([None, "per_tensor"]))
    bits = {"num_bits": draw(st.integers(2, 8))} if kind in ("ste", "lsq") else {}
    return {"kind": kind, "granularity": granularity, **bits}


def activation_algorithm(draw: Draw) -> dict[str, Any]:
    kind = draw(st.sampled_from(["ste", "lsq", "ste", "lsq", "binary"]))
    if kind == "binary":
        return {"kind": kind}
    bits = draw(st.integers(1, 8))
    return {
        "kind": kind,
        "num_bits": bits,
        "signed": False if bits == 1 else draw(st.sampled_from([None, True, False])),
        "symmetric": draw(st.booleans()),
    }


def quantize_rules(draw: Draw, network: nn.Module) -> list[dict[str, Any]]:
    num_layers = sum(isinstance(m, nn.Conv2d | nn.Linear) for m in network.modules())
    inputs = draw(st.sampled_from(["!first", "*"])) if num_layers > 1 else "*"
    rules = [
        {"select": "*", "on": "weight", "algorithm": weight_algorithm(draw)},
        {"select": inputs, "on": "input", "algorithm": activation_algorithm(draw)},
    ]
    if draw(st.integers(0, 4)) == 4:
        rules.append({"select": "*", "on": "output", "algorithm": activation_algorithm(draw)})
    return rules


@st.composite
def specs(draw: Draw) -> InputSpec:
    channels = draw(st.integers(1, 3))
    shape = (channels, *_pair(draw, 4, (8, 8)))
    scales, zeros = st.sampled_from([0.02, 1 / 78.6, 0.017]), st.integers(0, 255)
    if draw(st.booleans()):
        return InputSpec(
            shape=shape, scale=(draw(scales),) * channels, zero_point=(draw(zeros),) * channels
        )
    scale, zero_point = (tuple(draw(some) for _ in range(channels)) for some in (scales, zeros))
    return InputSpec(shape=shape, scale=scale, zero_point=zero_point)


def images_for(spec: InputSpec, seed: int) -> Tensor:
    """All black, all white, black and white only, and any."""
    generator = torch.Generator().manual_seed(seed)
    black, white = torch.zeros(1, *spec.shape), torch.full((1, *spec.shape), 255.0)
    coarse = 255 * torch.randint(2, (1, *spec.shape), generator=generator)
    fine = torch.randint(256, (2, *spec.shape), generator=generator)
    return torch.cat([black, white, coarse, fine]).to(torch.uint8)


def calibrated(
    network: nn.Module,
    spec: InputSpec,
    rules: list[dict[str, Any]],
    seed: int = 0,
    threshold_levels: int = 4,
    *,
    is_odd: bool = True,
) -> Case:
    """Return a network with random weights, quantized by rules. is_odd: see `settle`."""
    network = network.double().eval()
    settle(network, seed, is_odd=is_odd)
    case = Case(
        network=network, spec=spec, rules=rules, seed=seed, threshold_levels=threshold_levels
    )
    quantize(network, QuantizeConfig.model_validate({"rules": rules}).rules)
    calibrate(network, [case.samples])
    return case


@st.composite
def cases(draw: Draw) -> Case:
    """A network of up to some 12 layers on a raw image, quantized and calibrated."""
    spec, seed = draw(specs()), draw(st.integers(0, 2**16))
    network = layers(draw, spec.shape)
    rules, levels = quantize_rules(draw, network), draw(st.sampled_from([4, 0, 16]))
    case = calibrated(network, spec, rules, seed, levels)
    memory, sums = draw(st.sampled_from([(32, 64), (8, 64), (16, 32), (8, 32), (32, 32)]))
    return replace(case, memory_bits=memory, sum_bits=sums)


class Chain(nn.Sequential):
    """Layers with a first and a last, by name."""

    def __init__(self, first: nn.Module, middle: nn.Module, last: nn.Module) -> None:
        super().__init__()
        self.first, self.middle, self.last = first, middle, last


@dataclass(frozen=True, kw_only=True)
class Shallow:
    """A case of two layers, first and last. The input of the last one's quantizer is exact."""

    case: Case

    @property
    def last(self) -> nn.Module:
        return self.case.network.get_submodule("last")


MIDDLES = (
    max_pool, average_pool, adaptive_pool, adaptive_max_pool, average_over_axes, padding, constants,
    moving,
)  # fmt: skip


@st.composite
def shallow_cases(draw: Draw) -> Shallow:
    """A layer with quantized output; what moves elements or is affine, a maximum or a sum; a layer
    with quantized input."""
    spec, seed = draw(specs()), draw(st.integers(0, 2**16))
    first = convolution(draw, spec.shape)
    shape = shape_after(first, spec.shape)
    middle: list[nn.Module] = []
    if draw(st.booleans()):
        kind = draw(st.sampled_from(MIDDLES))
        middle.append(kind(draw, shape))
        shape = shape_after(middle[0], shape)
    middle += [nn.BatchNorm2d(shape[0])] if draw(st.booleans()) else []
    middle.append(draw(st.sampled_from([nn.Identity, nn.ReLU, nn.ReLU6, nn.PReLU]))())
    network = Chain(first, nn.Sequential(*middle), nn.Conv2d(shape[0], 5, 1))
    bits = draw(st.integers(1, 8))
    rules = [
        {"select": "*", "on": "weight", "algorithm": {"kind": "lsq", "num_bits": 8}},
        {"select": "first", "on": "output", "algorithm": {"kind": "ste", "num_bits": 8}},
        {
            "select": "last",
            "on": "input",
            "algorithm": {
                "kind": draw(st.sampled_from(["ste", "lsq"])),
                "num_bits": bits,
                "signed": False if bits == 1 else draw(st.sampled_from([True, False])),
                "symmetric": draw(st.booleans()),
            },
        },
    ]
    levels = draw(st.sampled_from([4, 0]))
    return Shallow(case=calibrated(network, spec, rules, seed, levels, is_odd=False))
