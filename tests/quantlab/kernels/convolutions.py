"""Random convolutions of real numbers, and what they should make, in float64.

Shapes: N images, Co and Ci channels, R bases, L kernels of a base.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.backend import Factor, PackedConvolution

Reals = NDArray[np.floating[Any]]
Pair = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Convolution:
    """weight_OIHW: in float64; packed: the same as the kernel has it."""

    packed: PackedConvolution
    weight_OIHW: Reals
    bias_O: Reals
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int

    def run(self, x_NHWC: Reals) -> Reals:
        """Return the convolution of images, [N, H, W, Co] in float64."""
        outputs, inputs, *kernel = self.weight_OIHW.shape
        top, left = self.padding
        reach = [d * (k - 1) + 1 for d, k in zip(self.dilation, kernel, strict=True)]
        padded = np.pad(x_NHWC.astype(np.float64), ((0, 0), (top, top), (left, left), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=(1, 2))
        windows = windows[:, :: self.stride[0], :: self.stride[1]]
        windows = windows[..., :: self.dilation[0], :: self.dilation[1]]
        by_group = windows.reshape(*windows.shape[:3], self.groups, inputs, *kernel)
        weight = self.weight_OIHW.reshape(self.groups, outputs // self.groups, inputs, *kernel)
        sums = np.einsum("nhwgixy,goixy->nhwgo", by_group, weight, optimize=True)
        return sums.reshape(*sums.shape[:3], outputs) + self.bias_O


def factor_of(random: np.random.Generator, shape: tuple[int, ...]) -> tuple[Factor, Reals]:
    """Return numbers or codes of one of the types, and what they stand for."""
    kind = random.integers(4)
    if kind == 0:
        numbers = random.standard_normal(shape).astype(np.float32)
        return numbers, numbers.astype(np.float64)
    of_codes = np.int8 if kind < 3 else np.int16
    codes = random.integers(-9, 10, shape).astype(of_codes)
    scales = random.uniform(0.05, 0.2, shape[0] if kind == 2 else 1).astype(np.float32)
    by_row = scales.astype(np.float64).reshape(-1, *[1] * (len(shape) - 1))
    return (codes, scales), codes * by_row


def pair(random: np.random.Generator, low: int, high: int) -> Pair:
    return int(random.integers(low, high + 1)), int(random.integers(low, high + 1))


def random_convolution(random: np.random.Generator) -> Convolution:
    """Return one of any kind: dense, depthwise, of three stages, without U, without V."""
    kind = random.choice(["dense", "depthwise", "three", "no_in", "no_out"])
    groups = int(random.choice([1, 1, 2, 3]))
    inputs, outputs = int(random.integers(1, 40)), int(random.integers(1, 40))
    if kind == "depthwise":
        groups, inputs, outputs = int(random.choice([2, 16, 17, 33])), 1, 1
    outputs *= groups
    stride, padding, dilation = pair(random, 1, 2), pair(random, 0, 2), pair(random, 1, 2)
    kernel = pair(random, 1, 4)
    bases, kernels = int(random.integers(1, 50)), int(random.integers(1, 4))
    bias = random.standard_normal(outputs).astype(np.float32)
    places = (bias, stride, padding, dilation, groups)
    if kind in ("dense", "depthwise"):
        given, weight = factor_of(random, (outputs, inputs, *kernel))
        packed = PackedConvolution.dense(given, *places)
    else:
        bases = outputs if kind == "no_out" else bases
        kernels = inputs if kind == "no_in" else kernels
        basis, weight = factor_of(random, (bases, kernels, *kernel))
        coeff_in, coeff_out = None, None
        if kind != "no_in":
            coeff_in, u = factor_of(random, (bases, inputs, kernels))
            weight = np.einsum("ril,rlxy->rixy", u, weight)
        if kind != "no_out":
            coeff_out, v = factor_of(random, (outputs, bases))
            weight = np.einsum("cr,rixy->cixy", v, weight)
        packed = PackedConvolution.factored(basis, coeff_in, coeff_out, *places)
    return Convolution(
        packed=packed,
        weight_OIHW=weight,
        bias_O=bias.astype(np.float64),
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
    )
