"""Constructs that are refused: small networks by name, each with what is said of it."""

import random
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.quantlab.integer.constructs import (
    CHANNELS,
    SIDE,
    conv,
    lenet,
    middle,
    numbers,
)


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


class Doubled(nn.ReLU):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(2 * input)


class Halved(nn.MaxPool2d):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) / 2


class Returning(nn.Module):
    def __init__(self, made: Callable[[Tensor, Tensor], Any]) -> None:
        super().__init__()
        self.made = made
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Any:
        x = self.conv(x).flatten(1)
        return self.made(x, x)


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "layer norm": (
        middle(lambda self, x: self.norm(x), norm=lambda: nn.LayerNorm(SIDE)),
        "layer 'middle.norm': LayerNorm has no integer operation; BatchNorm2d and .* fold into",
    ),
    "a norm of one's own": (
        bare(LayerNorm2d(SIDE)), "^layer '1': LayerNorm2d has no integer operation; .* fold into"
    ),
    "an activation of one's own": (
        bare(Doubled()), "^layer '1': Doubled has no integer operation"
    ),
    "a pooling of one's own": (bare(Halved(2)), "^layer '1': Halved has no integer operation"),
    "group norm": (bare(nn.GroupNorm(2, CHANNELS)), "^layer '1': GroupNorm has no .* fold into"),
    "instance norm": (bare(nn.InstanceNorm2d(CHANNELS)), "InstanceNorm2d has no .* fold into"),
    "a norm as a function": (
        middle(lambda self, x: functional.layer_norm(x, (SIDE,))),
        r"'layer_norm' \(layer_norm\): layer_norm has no .* fold into .*; called in",
    ),
    "a group norm as a function": (
        middle(lambda self, x: functional.group_norm(x, 2)), "group_norm has no .* fold into"
    ),
    "attention": (
        middle(lambda self, x: self.heads(*[x.flatten(2).mT] * 3)[0].mean(1),
               heads=lambda: nn.MultiheadAttention(CHANNELS, 2, batch_first=True)),
        "layer 'middle.heads': MultiheadAttention has no .*; Conv1d over the sequence .* called in",
    ),
    "attention as a function": (
        middle(lambda self, x: functional.scaled_dot_product_attention(x, x, x)),
        "scaled_dot_product_attention has no .*; Conv1d over the sequence .* called in",
    ),
    "a transformer": (
        middle(lambda self, x: self.encoder(x.flatten(2).mT).mean(1),
               encoder=lambda: nn.TransformerEncoderLayer(CHANNELS, 2, 8, batch_first=True)),
        "layer 'middle.encoder': TransformerEncoderLayer has no .*; Conv1d over the sequence",
    ),
    "a transposed function with a weight": (
        middle(lambda self, x: functional.conv_transpose2d(x, self.w),
               w=numbers(CHANNELS, 4, 1, 1)),
        "conv_transpose2d has no .*; nn.ConvTranspose2d, with a quantizer, has one",
    ),
    "a function of one axis with a weight": (
        middle(lambda self, x: functional.conv1d(x.flatten(2), self.w).mean(2),
               w=numbers(4, CHANNELS, 1)),
        "conv1d has no integer operation; nn.Conv1d, with a quantizer, has one",
    ),
    "three axes": (
        middle(lambda self, x: self.deep(x[:, None]).flatten(1, 2),
               deep=lambda: nn.Conv3d(1, 2, 3)),
        "layer 'middle.deep': Conv3d has no .*; Conv2d has one, of a third axis among the channels",
    ),
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
    "matmul": (
        middle(lambda self, x: x @ x),
        "layer 'middle.matmul': MatMul has no .*; nn.Linear, a product with weights",
    ),
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
    "a number as a result": (
        lambda: Returning(lambda x, y: {"scores": x + y, "count": 3}),
        "^lower: a network that returns a int as 'count' given, tensors that depend on the input",
    ),
    "nothing as a result": (
        lambda: Returning(lambda x, y: (None,)), "^lower: a network that returns nothing given, "
    ),
    "places beside values": (
        lambda: Returning(lambda x, y: x.max(1)),
        "several tensors as one result; each by itself allowed",
    ),
    "a branch": (
        middle(lambda self, x: x if x.sum() > 0 else -x),
        r"used as inputs to control flow\), nor on an example$",
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
    "NaN in a constant": (
        middle(lambda self, x: x + self.shift, shift=torch.tensor([float("nan")])),
        "middle.shift: NaN given, finite numbers allowed",
    ),
    "two inputs": (TwoInputs, r"lower: a network with 2 inputs \('x', 'y'\) given, one allowed"),
    "no input": (lenet(lambda self, x: self.fc1.bias[None]), "what does not depend on the input"),
}  # fmt: skip
