"""Small networks, one for each construct that people write, quantized to 8 bits and calibrated."""

import random
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from quantlab.algorithms import QuantizeConfig, quantize
from quantlab.algorithms.after_training import calibrate
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


class Noise(nn.Module):
    """Nothing in evaluation."""

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn_like(x) if self.training else x


class Masked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, CHANNELS, 3)
        self.fc = nn.Linear(CHANNELS, 5)

    def forward(self, x: Tensor, mask: Tensor | None = None, is_bare: bool = False) -> Tensor:
        x = functional.relu(self.conv(x))
        if mask is not None:
            x = x * mask
        x = x.mean((2, 3))
        return x if is_bare else self.fc(x)


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


def in_steps(self: Any, x: Tensor) -> Tensor:
    y = self.conv(x)
    y += x
    y *= 2
    y -= 0.5
    y /= 3
    return y


def squeeze_and_excite(self: Any, x: Tensor) -> Tensor:
    batch, channels, _, _ = x.size()
    y = functional.adaptive_avg_pool2d(x, 1).view(batch, channels)
    return x * self.fc(y).view(batch, channels, 1, 1).expand_as(x)


def padded_to_size(self: Any, x: Tensor) -> Tensor:
    """As in a U-Net."""
    y = functional.interpolate(functional.max_pool2d(self.conv(x), 2), scale_factor=2)
    rows, columns = x.size()[2] - y.size()[2], x.size()[3] - y.size()[3]
    ends = [columns // 2, columns - columns // 2, rows // 2, rows - rows // 2]
    return torch.cat([x, functional.pad(y, ends)], dim=1)


def shuffled(self: Any, x: Tensor) -> Tensor:
    batch, channels, height, width = x.size()
    x = x.view(batch, 2, channels // 2, height, width)
    x = torch.transpose(input=x, dim0=1, dim1=2)
    return x.reshape(batch, channels, height, width)


def gated(self: Any, x: Tensor) -> Tensor:
    y = self.fc(x.mean(dim=(2, 3)))
    return x * torch.sigmoid(y)[:, :, None, None]


def expanded(self: Any, x: Tensor) -> Tensor:
    y = torch.sigmoid(self.fc(functional.adaptive_avg_pool2d(x, 1).view(x.size(0), -1)))
    return x * y.view(x.size(0), -1, 1, 1).expand_as(x)


def best_of_channels(self: Any, x: Tensor) -> Tensor:
    best, _ = x.max(dim=1, keepdim=True)
    return x - best


LOWERED: dict[str, Callable[[], nn.Module]] = {
    # clamps
    "clamp": middle(lambda self, x: self.conv(x).clamp(0, 1.5), conv=conv),
    "clamp by name": middle(lambda self, x: torch.clamp(self.conv(x), min=-1, max=2), conv=conv),
    "clamp of one end": middle(lambda self, x: self.conv(x).clamp(min=0), conv=conv),
    "clamp of the other": middle(lambda self, x: self.conv(x).clamp(max=0.7), conv=conv),
    "clamp_min": middle(lambda self, x: torch.clamp_min(self.conv(x), 0.1), conv=conv),
    "clip": middle(lambda self, x: torch.clip(self.conv(x), -0.5, 0.7), conv=conv),
    "clamp in place": middle(lambda self, x: self.conv(x).clamp_(0, 6), conv=conv),
    "hardtanh": middle(lambda self, x: functional.hardtanh(self.conv(x), -0.5, 0.7), conv=conv),
    "relu6": middle(lambda self, x: functional.relu6(self.conv(x)), conv=conv),
    "x.relu": middle(lambda self, x: self.conv(x).relu(), conv=conv),
    "reused relu": middle(
        lambda self, x: self.relu(self.two(self.relu(self.one(x)))),
        relu=lambda: nn.ReLU(inplace=True), one=conv, two=conv,
    ),
    # constants
    "add a number": middle(lambda self, x: self.conv(x) + 0.5, conv=conv),
    "a number less a tensor": middle(lambda self, x: 1 - self.conv(x), conv=conv),
    "rsub": middle(lambda self, x: torch.rsub(self.conv(x), 1), conv=conv),
    "negative": middle(lambda self, x: -self.conv(x), conv=conv),
    "neg": middle(lambda self, x: torch.neg(self.conv(x)).relu(), conv=conv),
    "multiply by a number": middle(lambda self, x: 0.3 * self.conv(x), conv=conv),
    "true_divide": middle(lambda self, x: torch.true_divide(self.conv(x), 3), conv=conv),
    "divide by a number": middle(lambda self, x: self.conv(x) / 3, conv=conv),
    "constants behind a clamp": middle(lambda self, x: (self.conv(x).relu() - 0.5) * 2, conv=conv),
    "hard sigmoid by hand": middle(
        lambda self, x: x * functional.relu6(self.conv(x) + 3) / 6, conv=conv
    ),
    "buffers": middle(
        lambda self, x: (self.conv(x) - self.mean) / self.std, conv=conv,
        mean=numbers(1, CHANNELS, 1, 1), std=numbers(1, CHANNELS, 1, 1, least=0.5),
    ),
    "buffers of three axes": middle(
        lambda self, x: (x - self.mean) / self.std,
        mean=numbers(CHANNELS, 1, 1), std=numbers(CHANNELS, 1, 1, least=0.5),
    ),
    "parameters": middle(
        lambda self, x: x + self.gamma * self.conv(x) + self.bias.view(1, -1, 1, 1), conv=conv,
        gamma=lambda: nn.Parameter(numbers(CHANNELS, 1, 1)),
        bias=lambda: nn.Parameter(numbers(CHANNELS)),
    ),
    "a parameter of one number": middle(
        lambda self, x: self.conv(x) * self.scale, conv=conv,
        scale=lambda: nn.Parameter(torch.tensor(0.4)),
    ),
    "a position embedding": middle(
        lambda self, x: self.conv(x) + self.places, conv=conv,
        places=lambda: nn.Parameter(numbers(1, CHANNELS, SIDE, SIDE)),
    ),
    "a constant on the left": middle(
        lambda self, x: self.mean - self.conv(x), conv=conv, mean=numbers(CHANNELS, 1, 1)
    ),
    "a tensor made in forward": middle(
        lambda self, x: self.conv(x) * torch.tensor([0.5]), conv=conv
    ),
    # two tensors
    "subtract": middle(lambda self, x: self.conv(x) - x, conv=conv),
    "subtract clamped": middle(lambda self, x: self.one(x).relu() - self.two(x).relu(),
                               one=conv, two=conv),
    "x + x": middle(lambda self, x: x + x + self.conv(x), conv=conv),
    "in place": middle(in_steps, conv=conv),
    "square": middle(lambda self, x: self.conv(x) * self.conv(x), conv=conv),
    "a broadcast sum": middle(lambda self, x: x + self.conv(x).mean((2, 3), keepdim=True),
                              conv=conv),
    # shapes
    "gate by None": middle(gated, fc=lambda: nn.Linear(CHANNELS, CHANNELS)),
    "squeeze and excite": middle(
        squeeze_and_excite, fc=lambda: nn.Sequential(nn.Linear(CHANNELS, CHANNELS), nn.Sigmoid())
    ),
    "gate by expand_as": middle(expanded, fc=lambda: nn.Linear(CHANNELS, CHANNELS)),
    "expand": middle(
        lambda self, x: self.conv(x.mean((2, 3), True).expand(-1, -1, 4, 5)), conv=conv
    ),
    "unsqueeze": middle(
        lambda self, x: self.fc(x.mean((2, 3))).unsqueeze(2).unsqueeze(dim=-1) + x,
        fc=lambda: nn.Linear(CHANNELS, CHANNELS),
    ),
    "squeeze": middle(lambda self, x: functional.adaptive_avg_pool2d(x, 1).squeeze(3).squeeze(2)),
    "stepped slice": middle(lambda self, x: x[:, :, ::2, 1::3]),
    "slice of channels": middle(lambda self, x: x[:, 2:6] + x[:, -4:]),
    "negative slice": middle(lambda self, x: x[:, :-1, 1:-1, :-2]),
    "slice with dots": middle(lambda self, x: x[..., 1:]),
    "one row": middle(lambda self, x: x[:, :, 3:4] + x[:, :, -1, None]),
    "select": middle(lambda self, x: x.select(2, 1).select(dim=-1, index=2)),
    "narrow": middle(lambda self, x: torch.narrow(x, dim=1, start=2, length=3)),
    "pixel unshuffle by hand": middle(
        lambda self, x: torch.cat([x[..., :-1:2, :-1:2], x[..., 1::2, 1::2]], 1)
    ),
    "chunk": middle(lambda self, x: torch.cat(x.chunk(chunks=2, dim=1)[::-1], dim=1)),
    "split": middle(lambda self, x: torch.cat(tensors=torch.split(x, [3, 5], dim=1)[::-1], dim=1)),
    "split by size": middle(lambda self, x: torch.cat(x.split(split_size=3, dim=-3), axis=1)),
    "unbind": middle(lambda self, x: torch.stack(torch.unbind(x, 1)[::-1], 1)),
    "stack": middle(
        lambda self, x: torch.stack([x, self.conv(x)], dim=1).flatten(start_dim=1, end_dim=2),
        conv=conv,
    ),
    "stack in the end": middle(
        lambda self, x: torch.stack((x, self.conv(x)), -1).view(x.shape[0], CHANNELS, SIDE, -1),
        conv=conv,
    ),
    "shuffle": middle(shuffled),
    "repeat": middle(lambda self, x: x[..., :2].repeat(1, 2, 1, 3)),
    "channel_shuffle": middle(lambda self, x: functional.channel_shuffle(x, 2)),
    "pixel_shuffle": middle(lambda self, x: functional.pixel_shuffle(x, 2)),
    "PixelUnshuffle": middle(lambda self, x: self.down(x[..., 1:, 1:]),
                             down=lambda: nn.PixelUnshuffle(2)),
    "permute": middle(lambda self, x: x.permute(dims=(0, 1, 3, 2))),
    "permute of numbers": middle(lambda self, x: x.permute(0, 3, 1, 2)),
    "transpose": middle(lambda self, x: x.transpose(dim0=-1, dim1=-2)),
    "mT": middle(lambda self, x: x.mT),
    "swapaxes": middle(lambda self, x: x.swapaxes(axis0=2, axis1=3)),
    "movedim": middle(lambda self, x: x.movedim(3, 1)),
    "mean": middle(lambda self, x: x.mean((2, 3))),
    "mean by name": middle(lambda self, x: torch.mean(input=x, dim=(-1, -2))),
    "mean over axis": middle(lambda self, x: torch.mean(x, axis=[2, 3], keepdims=True)),
    "mean twice": middle(lambda self, x: x.mean(3).mean(2)),
    "mean of the last": middle(lambda self, x: x.mean(-1, keepdim=True)),
    "mean of channels": middle(lambda self, x: x.mean(1, keepdim=True) + self.conv(x), conv=conv),
    "mean of vectors": middle(lambda self, x: x.flatten(2).mean(2)),
    "sum": middle(lambda self, x: x.sum(dim=(2, 3)) * 0.01),
    "contiguous": middle(lambda self, x: x.contiguous().flatten(start_dim=2).view(-1, 8, 9, 9)),
    "a constant beside": middle(
        lambda self, x: self.conv(torch.cat([x, self.two.expand(x.size(0), -1, -1, -1)], 1)),
        conv=lambda: nn.Conv2d(CHANNELS + 2, 4, 3), two=numbers(1, 2, SIDE, SIDE),
    ),
    "a constant before": middle(
        lambda self, x: self.fc(torch.cat((torch.zeros(x.size(0), 3), x.mean((2, 3))), dim=1)),
        fc=lambda: nn.Linear(CHANNELS + 3, 4),
    ),
    "a constant in a stack": middle(
        lambda self, x: torch.stack([x, self.one.expand_as(x)], dim=1).flatten(1, 2),
        one=numbers(1, CHANNELS, SIDE, SIDE),
    ),
    # largest elements
    "amax": middle(lambda self, x: self.conv(x).amax(dim=(2, 3)), conv=conv),
    "amax of channels": middle(
        lambda self, x: x * torch.sigmoid(torch.amax(self.conv(x), 1, keepdim=True)), conv=conv
    ),
    "max of channels": middle(lambda self, x: torch.max(self.conv(x), 1)[0].unsqueeze(1),
                              conv=conv),
    "max by name": middle(lambda self, x: x.max(dim=-1, keepdim=True).values),
    "max unpacked": middle(best_of_channels),
    "zeros_like": middle(
        lambda self, x: torch.cat([self.conv(x), torch.zeros_like(x)], 1) + 1, conv=conv
    ),
    "new_ones": middle(lambda self, x: x.new_ones(x.shape) - self.conv(x), conv=conv),
    "max twice": middle(lambda self, x: self.conv(x).max(3)[0].max(2)[0], conv=conv),
    # padding
    "pad": middle(lambda self, x: self.conv(functional.pad(x, (1, 0, 2, 1))), conv=conv),
    "pad to a size": middle(padded_to_size, conv=conv),
    "pad by a value": middle(lambda self, x: self.conv(functional.pad(x, (1, 1), value=0.7)),
                             conv=conv),
    "pad channels": middle(lambda self, x: functional.pad(x, (0, 0, 0, 0, 2, 1))),
    "crop": middle(lambda self, x: functional.pad(x, (-1, -1, 0, -2))),
    "pad what is not quantized": middle(lambda self, x: functional.pad(self.conv(x), [1, 2]),
                                        conv=conv),
    "ZeroPad2d": middle(lambda self, x: self.conv(self.pad(x)), conv=conv,
                        pad=lambda: nn.ZeroPad2d((1, 0, 2, 1))),
    "ConstantPad2d": middle(lambda self, x: self.conv(self.pad(x)), conv=conv,
                            pad=lambda: nn.ConstantPad2d(1, 0.5)),
    # activations
    "PReLU": middle(lambda self, x: self.act(self.conv(x)), conv=conv,
                    act=lambda: nn.PReLU(init=0.3)),
    "PReLU of channels": middle(lambda self, x: self.act(self.conv(x)), conv=conv,
                                act=lambda: nn.PReLU(CHANNELS)),
    "RReLU": middle(lambda self, x: self.act(self.conv(x)), conv=conv, act=nn.RReLU),
    "threshold": middle(lambda self, x: functional.threshold(self.conv(x), 0.1, 0.1), conv=conv),
    "LeakyReLU": middle(lambda self, x: functional.leaky_relu(self.conv(x), 0.2), conv=conv),
    "ELU": middle(lambda self, x: functional.elu(self.conv(x)), conv=conv),
    "tanh": middle(lambda self, x: torch.tanh(self.conv(x)), conv=conv),
    "softplus": middle(lambda self, x: functional.softplus(self.conv(x)), conv=conv),
    "selu": middle(lambda self, x: functional.selu(self.conv(x)), conv=conv),
    "SELU": middle(lambda self, x: self.act(self.conv(x)), conv=conv, act=nn.SELU),
    "logsigmoid": middle(lambda self, x: functional.logsigmoid(x)),
    "abs": middle(lambda self, x: x.relu() + (-self.conv(x)).relu(), conv=conv),
    "swish by hand": middle(lambda self, x: x * x.sigmoid()),
    # pooling and sizes
    "Upsample": middle(lambda self, x: self.up(self.conv(x)), conv=conv,
                       up=lambda: nn.Upsample(scale_factor=2)),
    "interpolate": middle(lambda self, x: functional.interpolate(x, scale_factor=(2, 3))),
    "interpolate to a size": middle(
        lambda self, x: functional.interpolate(x[..., 1:, 1:], size=(16, 24), mode="nearest")
    ),
    "interpolate to another": middle(
        lambda self, x: x + functional.interpolate(self.conv(x)[..., ::3, ::3], size=x.shape[-2:]),
        conv=conv,
    ),
    "AdaptiveMaxPool2d": middle(lambda self, x: self.pool(self.conv(x)), conv=conv,
                                pool=lambda: nn.AdaptiveMaxPool2d((4, 5))),
    "adaptive_max_pool2d": middle(lambda self, x: functional.adaptive_max_pool2d(x, 1)),
    "adaptive of one axis": middle(lambda self, x: self.pool(x),
                                   pool=lambda: nn.AdaptiveAvgPool2d((None, 1))),
    "max_pool2d": middle(lambda self, x: functional.max_pool2d(x, kernel_size=3, stride=2)),
    "avg_pool2d of all": middle(lambda self, x: functional.avg_pool2d(x, x.size()[2:]).flatten(1)),
    "avg_pool2d": middle(lambda self, x: functional.avg_pool2d(x, 3)),
    # what passes
    "Dropout": middle(lambda self, x: self.drop(self.same(x)), drop=nn.Dropout, same=nn.Identity),
    "dropout": middle(lambda self, x: functional.dropout(x, 0.4, self.training)),
    "dropout by name": middle(lambda self, x: functional.dropout(x, p=0.4, training=self.training)),
    "alpha_dropout": middle(
        lambda self, x: functional.alpha_dropout(x, 0.4, training=self.training)
    ),
    "dropout off": middle(lambda self, x: functional.dropout(x, training=False)),
    "to": middle(lambda self, x: self.conv(x.to(x.dtype).clone().detach()), conv=conv),
    "in-place modules": middle(
        lambda self, x: self.act(self.relu(self.conv(x))), conv=conv,
        relu=lambda: nn.ReLU6(inplace=True), act=lambda: nn.Hardtanh(-1, 0.5, inplace=True),
    ),
    "a module that looks at the mode": middle(lambda self, x: self.noise(self.conv(x)), conv=conv,
                                              noise=Noise),
    "an argument left out": Masked,
    # whole networks
    "torch.flatten": lenet(lambda self, x: self.scores(torch.flatten(x, 1))),
    "view(-1, n)": lenet(lambda self, x: self.scores(x.view(-1, 16 * 1 * 1))),
    "view(-1, features)": lenet(lambda self, x: self.scores(x.view(-1, self.num_flat_features(x)))),
    "view(size, -1)": lenet(lambda self, x: self.scores(x.view(x.size(0), -1))),
    "view(shape[0], -1)": lenet(lambda self, x: self.scores(x.view(x.shape[0], -1))),
    "log_softmax": lenet(
        lambda self, x: functional.log_softmax(self.scores(x.reshape(-1, 16)), dim=1)
    ),
    "softmax": lenet(lambda self, x: torch.softmax(self.scores(x.flatten(1)), axis=-1)),
    "Softmax": lambda: nn.Sequential(TutorialLeNet(lambda self, x: self.scores(x.flatten(1))),
                                     nn.Softmax(dim=1)),
    "sigmoid in the end": lenet(lambda self, x: torch.sigmoid(self.scores(x.flatten(1)))),
}  # fmt: skip


def bare(*layers: nn.Module) -> Callable[[], nn.Module]:
    """A convolution and other layers, of an nn.Sequential, which has no line of code."""
    return lambda: nn.Sequential(nn.Conv2d(3, CHANNELS, 3, padding=1), *layers, nn.Flatten())


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.conv(x) + self.conv(y)


class LayerNorm2d(nn.LayerNorm):
    """As torchvision has it."""


class Pair(NamedTuple):
    first: Tensor
    second: Tensor


class Returning(nn.Module):
    def __init__(self, made: Callable[[Tensor, Tensor], Any]) -> None:
        super().__init__()
        self.made = made
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Any:
        x = self.conv(x).flatten(1)
        return self.made(x, x)


# Each with what is said of it.
REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "layer norm": (
        middle(lambda self, x: self.norm(x), norm=lambda: nn.LayerNorm(SIDE)),
        "layer 'middle.norm': LayerNorm has no integer operation; BatchNorm2d and .* fold into",
    ),
    "a norm of one's own": (
        bare(LayerNorm2d(SIDE)), "^layer '1': LayerNorm2d has no integer operation; .* fold into"
    ),
    "group norm": (bare(nn.GroupNorm(2, CHANNELS)), "^layer '1': GroupNorm has no .* fold into"),
    "instance norm": (bare(nn.InstanceNorm2d(CHANNELS)), "InstanceNorm2d has no .* fold into"),
    "batch norm of the batch": (
        bare(nn.BatchNorm2d(CHANNELS, track_running_stats=False)),
        "layer '1': batch norm without running statistics",
    ),
    "softmax": (
        middle(lambda self, x: x * torch.softmax(x, dim=1)),
        "layer 'middle.softmax': Softmax has no integer operation; as the last layer it is left",
    ),
    "softmax over places": (
        lenet(lambda self, x: torch.softmax(x.flatten(2), -1)), "Softmax has no integer operation"
    ),
    "bilinear": (
        bare(nn.Upsample(scale_factor=2, mode="bilinear")),
        "^layer '1': mode 'bilinear', 'nearest' allowed$",
    ),
    "part of a factor": (
        middle(lambda self, x: functional.interpolate(x, scale_factor=1.5)),
        r"'middle\.upsample': from \[9, 9\] to \[13, 13\], whole factors allowed",
    ),
    "a shuffle of rows": (
        middle(lambda self, x: self.shuffle(x.flatten(2)).mean(2),
               shuffle=lambda: nn.ChannelShuffle(2)),
        "layer 'middle.shuffle': of 3 axes, four allowed",
    ),
    "reflection": (
        middle(lambda self, x: functional.pad(x, (1, 1, 1, 1), mode="reflect")),
        "layer 'middle.pad': padding_mode 'reflect', 'zeros' or a constant",
    ),
    "ReflectionPad2d": (
        bare(nn.ReflectionPad2d(1)), "^layer '1': ReflectionPad2d has no .*; ZeroPad2d"
    ),
    "circular": (
        middle(lambda self, x: self.conv(x), conv=lambda: conv(padding_mode="circular")),
        "layer 'middle.conv': padding_mode 'circular', 'zeros' or a constant",
    ),
    "transposed": (bare(nn.ConvTranspose2d(CHANNELS, 4, 2)), "ConvTranspose2d has no .* Upsample"),
    "one divided": (middle(lambda self, x: 1 / (1 + x)), "truediv has no integer operation"),
    "divided by a tensor": (
        middle(lambda self, x: x / (1 + x)),
        "layer 'middle.divide': Divide has no integer operation; a product with a constant has",
    ),
    "divided by zero": (
        middle(lambda self, x: x / 0), "'middle.divide': .* or a division by zero; finite ones"
    ),
    "abs": (middle(lambda self, x: x.abs()), r"\(.abs\): .abs has no .*; x.relu\(\) \+ \(-x\)"),
    "power": (middle(lambda self, x: x**2), "pow has no integer operation; x \\* x has one"),
    "alpha": (
        middle(lambda self, x: torch.add(x, x, alpha=2)), "add has no .*; with alpha, .* multiply"
    ),
    "maximum": (middle(lambda self, x: torch.maximum(x, x)), "maximum has no .*; clamp has one"),
    "matmul": (middle(lambda self, x: x @ x), "layer 'middle.matmul': MatMul has no integer"),
    "dropout that is on": (
        middle(lambda self, x: functional.dropout(x, 0.5, True)), "is on in evaluation; training="
    ),
    "flip": (middle(lambda self, x: x.flip(1)), "'flip' .*flip has no integer operation; called"),
    "an index": (
        middle(lambda self, x: x[:, [1, 0]]), "not a slice, a new axis, another order of axes or"
    ),
    "two samples": (middle(lambda self, x: x[0:2]), "2 samples of any batch; all allowed"),
    "indices": (
        middle(lambda self, x: self.pool(x)[0],
               pool=lambda: nn.MaxPool2d(2, return_indices=True)),
        "layer 'middle.pool': return_indices=True, False allowed",
    ),
    "indices of a function": (
        middle(lambda self, x: functional.max_pool2d(x, 2, return_indices=True)[0]),
        "has no integer operation; without return_indices it has one",
    ),
    "a function with a weight": (
        middle(lambda self, x: functional.conv2d(x, self.w), w=numbers(4, CHANNELS, 1, 1)),
        "conv2d has no integer operation; nn.Conv2d, with a quantizer, has one",
    ),
    "the larger of two": (
        middle(lambda self, x: torch.max(x, self.conv(x)), conv=conv),
        r"max has no integer operation; a \+ F\.relu\(b - a\) has one, and amax over axes; called",
    ),
    "maximum of the batch": (
        middle(lambda self, x: x - x.amax(0)), "over the batch, other axes allowed"
    ),
    "places of the largest": (
        middle(lambda self, x: x.flatten(2).max(-1)[1] + x.flatten(2).mean(2)),
        "the places of the largest elements; their values allowed; called in",
    ),
    "one constant for each sample": (
        middle(lambda self, x: torch.cat([x, torch.arange(x.size(0)).view(-1, 1, 1, 1)
                                          .expand(-1, 1, SIDE, SIDE)], 1)),
        r"a constant of \[2, 1, 9, 9\]; one that is the same for all samples",
    ),
    "draws of Python": (
        middle(lambda self, x: self.conv(x) if random.random() < 2 else x, conv=conv),
        "^trace: Around: its forward pass draws random numbers, of which .* in evaluation",
    ),
    "draws of torch": (
        middle(lambda self, x: x + torch.randn(CHANNELS, 1, 1)), "Around: .* draws random numbers"
    ),
    "a named tuple": (lambda: Returning(Pair), "a network with several outputs given, one allowed"),
    "a dict": (
        lambda: Returning(lambda x, y: {"scores": x + y}),
        "^lower: a network that returns a dict given, a tensor allowed$",
    ),
    "a branch": (
        middle(lambda self, x: x if x.sum() > 0 else -x),
        r"used as inputs to control flow\), nor on an example$",
    ),
    "a layer of one axis": (
        middle(lambda self, x: self.conv(x.flatten(2)).flatten(1),
               conv=lambda: nn.Conv1d(CHANNELS, 4, SIDE**2)),
        "layer 'middle.conv': Conv1d has no integer operation; the layer of two axes",
    ),
    "a cell": (
        middle(lambda self, x: self.cell(x.mean((2, 3)), x.new_zeros(x.size(0), 4)),
               cell=lambda: nn.GRUCell(CHANNELS, 4)),
        "layer 'middle.cell': GRUCell has no integer operation",
    ),
    "argmax": (
        lenet(lambda self, x: self.scores(x.flatten(1)).argmax(1)), "argmax has no .* can take it"
    ),
    "batch": (middle(lambda self, x: x.flatten(0, 1)[:2, None]), "it mixes samples of a batch"),
    "batch mean": (middle(lambda self, x: x - x.mean(0)), "over the batch, other axes allowed"),
    "batch moved": (
        middle(lambda self, x: x.transpose(0, 1)[:, :2].transpose(0, 1)), "moves or cuts the batch"
    ),
    "random numbers": (
        middle(lambda self, x: x + torch.rand(x.size(1), 1, 1)), "rand.default has no .*; called in"
    ),
    "one dimension": (
        middle(lambda self, x: self.pool(x.flatten(2)).mean(2), pool=lambda: nn.MaxPool1d(2)),
        "MaxPool1d has no integer operation; the layer of two axes",
    ),
    "NaN in a constant": (
        middle(lambda self, x: x + self.shift, shift=torch.tensor([float("nan")])),
        "middle.shift: NaN given, finite numbers allowed",
    ),
    "two inputs": (TwoInputs, r"lower: a network with 2 inputs \('x', 'y'\) given, one allowed"),
    "no input": (lenet(lambda self, x: self.fc1.bias[None]), "that does not depend on the input"),
}  # fmt: skip


def built(network: nn.Module) -> nn.Module:
    """Return a network quantized to 8 bits and calibrated, its batch norms of either sign."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.normal_()
                module.bias.normal_()
    return quantized(network, on_inputs="!first")


def quantized(network: nn.Module, on_inputs: str | None = None) -> nn.Module:
    """Return a network whose weights have 8 bits, in float64; and its inputs if these are selected,
    calibrated then."""
    network = network.double().eval()
    algorithm = {"kind": "ste", "num_bits": 8}
    layers = [n for n, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]
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
