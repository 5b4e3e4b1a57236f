"""Constructs that are lowered: small networks by name."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.quantlab.integer.constructs import (
    CHANNELS,
    SIDE,
    TutorialLeNet,
    conv,
    lenet,
    middle,
    numbers,
)


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


def signal(self: Any, x: Tensor) -> Tensor:
    x = functional.max_pool1d(functional.relu(self.bn(self.one(x.flatten(2)))), 2)
    return functional.relu6(self.two(x)).flatten(1)


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
    # one axis
    "Conv1d": middle(signal, one=lambda: nn.Conv1d(CHANNELS, 6, 5, stride=2, padding=3),
                     bn=lambda: nn.BatchNorm1d(6), two=lambda: nn.Conv1d(6, 4, 3, dilation=2)),
    "Conv1d of groups": middle(
        lambda self, x: self.two(self.one(x.flatten(2)).relu()).mean(-1),
        one=lambda: nn.Conv1d(CHANNELS, 12, 3, padding="same", groups=4),
        two=lambda: nn.Conv1d(12, 12, 4, padding="valid", groups=12),
    ),
    "Conv1d with a residual": middle(
        lambda self, x: (self.one(x.flatten(2)).relu_() + self.two(x.flatten(2))).mean(2),
        one=lambda: nn.Conv1d(CHANNELS, 4, 3, padding=1), two=lambda: nn.Conv1d(CHANNELS, 4, 1),
    ),
    "Conv1d and what is its own": middle(
        lambda self, x: self.up(self.act(self.one(x.flatten(2)))[..., 1:]).flatten(1),
        one=lambda: nn.Conv1d(CHANNELS, 4, 3), act=nn.SiLU, up=lambda: nn.Upsample(scale_factor=2),
    ),
    "MaxPool1d": middle(
        lambda self, x: functional.max_pool1d(self.pool(x.flatten(2)), 2, padding=1).flatten(1),
        pool=lambda: nn.MaxPool1d(4, 3, padding=1, dilation=2, ceil_mode=True),
    ),
    "AvgPool1d": middle(
        lambda self, x: functional.avg_pool1d(self.pool(x.flatten(2)), 3).flatten(1),
        pool=lambda: nn.AvgPool1d(4, 2, padding=1, ceil_mode=True, count_include_pad=False),
    ),
    "AdaptiveAvgPool1d": middle(
        lambda self, x: functional.adaptive_avg_pool1d(self.pool(x.flatten(2)), 2).flatten(1),
        pool=lambda: nn.AdaptiveAvgPool1d(7),
    ),
    "AdaptiveMaxPool1d": middle(
        lambda self, x: functional.adaptive_max_pool1d(self.pool(x.flatten(2)), 2).flatten(1),
        pool=lambda: nn.AdaptiveMaxPool1d(7),
    ),
    # transposed convolutions
    "ConvTranspose2d": middle(
        lambda self, x: self.bn(self.up(x)).relu().flatten(1), bn=lambda: nn.BatchNorm2d(6),
        up=lambda: nn.ConvTranspose2d(CHANNELS, 6, 2, stride=2),
    ),
    "ConvTranspose2d with outputs of the bias": middle(
        lambda self, x: self.up(x).flatten(1),
        up=lambda: nn.ConvTranspose2d(CHANNELS, 6, 2, stride=3),
    ),
    "ConvTranspose2d of all settings": middle(
        lambda self, x: self.up(input=self.conv(x)).flatten(1), conv=conv,
        up=lambda: nn.ConvTranspose2d(CHANNELS, 6, (3, 4), (2, 3), (1, 2), (1, 2), 2, False, 2),
    ),
    "ConvTranspose2d of one step": middle(
        lambda self, x: self.up(x).flatten(1),
        up=lambda: nn.ConvTranspose2d(CHANNELS, 4, 3, padding=1),
    ),
    "ConvTranspose2d to a size": middle(
        lambda self, x: (self.up(functional.max_pool2d(x, 2), x.size()[2:]) + x).flatten(1),
        up=lambda: nn.ConvTranspose2d(CHANNELS, CHANNELS, 3, 2),
    ),
    "ConvTranspose1d": middle(
        lambda self, x: self.down(self.up(self.conv(x.flatten(2))).relu()).flatten(1),
        conv=lambda: nn.Conv1d(CHANNELS, 4, 9, 9),
        up=lambda: nn.ConvTranspose1d(4, 6, 4, stride=2, padding=1),
        down=lambda: nn.Conv1d(6, 3, 2, 2),
    ),
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
