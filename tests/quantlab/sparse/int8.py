"""What quantized sparse layers compute, by the definition: sums of integers in float64, exact."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from quantlab import backend

Floats = NDArray[np.float32]
Places = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Expected:
    """weight: the gradient of the dense weight, also where it is not kept."""

    y: Tensor
    x_gradient: Tensor
    weight: Tensor


def scale_of(absmax: NDArray[np.float32] | np.float32) -> Floats:
    """Return the steps of codes up to 127; 1 for zeros."""
    scale = np.asarray(absmax, np.float32) / np.float32(127)
    return np.where(scale == 0, np.float32(1), scale)


def nearest(numbers: Floats, scale: Floats) -> NDArray[np.float64]:
    """Return codes, rounded half to even."""
    return np.clip(np.rint(numbers / scale), -127, 127).astype(np.float64)


def mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return lowbias32 of integers of 32 bits."""
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & 0xFFFFFFFF
    x = ((x ^ (x >> 15)) * 0x846CA68B) & 0xFFFFFFFF
    return x ^ (x >> 16)


def stochastic(numbers: Floats, scale: Floats, seed: int) -> NDArray[np.float64]:
    """Return codes, rounded with the random numbers of their places; in a build without stochastic
    rounding half to even."""
    if not backend.HAS_STOCHASTIC_ROUNDING:
        return nearest(numbers, scale)
    index = np.arange(numbers.size, dtype=np.uint64).reshape(numbers.shape)
    bits = mixed(mixed(index ^ np.uint64(seed & 0xFFFFFFFF)) ^ np.uint64(seed >> 32)) >> 8
    u = bits.astype(np.float32) * np.float32(2**-24)
    return np.clip(np.floor(numbers / scale + u), -127, 127).astype(np.float64)


def expected(conv: nn.Conv2d, x: Tensor, y_gradient: Tensor, seed: int) -> Expected:
    """Return the output and gradients of a convolution whose zeros are not kept."""
    weight, given = conv.weight.detach().numpy(), x.numpy()
    x_scale = scale_of(np.abs(given).max(initial=0))
    scales = scale_of(np.abs(weight).max(axis=(1, 2, 3), keepdims=True))
    codes = torch.from_numpy(nearest(weight, scales))
    x_codes = torch.from_numpy(nearest(given, x_scale))
    sums = _convolved(conv, x_codes, codes).numpy()
    bias = 0 if conv.bias is None else conv.bias.detach().numpy()[:, None, None]
    y = sums.astype(np.float32) * (scales.reshape(-1, 1, 1) * x_scale) + bias

    y_scale = scale_of(np.abs(y_gradient.numpy()).max(initial=0))
    y_codes = torch.from_numpy(stochastic(y_gradient.numpy(), y_scale, seed))
    planes, pixels = _planes(conv, weight.shape), _pixels(conv, given.shape)
    count = conv.in_channels * conv.stride[0] * conv.stride[1]
    plane_scales = scale_of(
        np.array([np.abs(weight)[planes == plane].max(initial=0) for plane in range(count)])
    )
    plane_codes = torch.from_numpy(nearest(weight, plane_scales[planes]))
    factor = np.float32(float(x_scale) * float(y_scale))
    return Expected(
        y=torch.from_numpy(y),
        x_gradient=torch.from_numpy(
            _gradient(conv, x_codes, plane_codes, y_codes)[0].numpy().astype(np.float32)
            * (plane_scales * y_scale)[pixels]
        ),
        weight=torch.from_numpy(
            _gradient(conv, x_codes, codes, y_codes)[1].numpy().astype(np.float32) * factor
        ),
    )


def _convolved(conv: nn.Conv2d, x: Tensor, weight: Tensor) -> Tensor:
    return conv._conv_forward(x, weight, None).round()


def _gradient(conv: nn.Conv2d, x: Tensor, weight: Tensor, y: Tensor) -> list[Tensor]:
    x, weight = x.requires_grad_(), weight.requires_grad_()
    made = conv._conv_forward(x, weight, None)
    return [found.round() for found in torch.autograd.grad(made, [x, weight], y)]


def _numbers(conv: nn.Conv2d, channel: Places, *places: Places) -> Places:
    """Return a number of the channel and of the remainders that strides leave of both places."""
    down, across = (place % stride for place, stride in zip(places, conv.stride, strict=True))
    return (channel * conv.stride[0] + down) * conv.stride[1] + across


def _planes(conv: nn.Conv2d, shape: tuple[int, ...]) -> Places:
    """Return the plane that each weight reads."""
    output, within, row, column = np.indices(shape)
    channel = output // (shape[0] // conv.groups) * shape[1] + within
    return _numbers(conv, channel, row * conv.dilation[0], column * conv.dilation[1])


def _pixels(conv: nn.Conv2d, shape: tuple[int, ...]) -> Places:
    """Return the plane of each number of the input."""
    _, channel, row, column = np.indices(shape)
    return _numbers(conv, channel, row + int(conv.padding[0]), column + int(conv.padding[1]))
