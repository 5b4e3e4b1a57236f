"""DoReFa-Net: weights squashed to [-1, 1], activations clipped to [0, 1], in equal steps.

Forward, with n = 2^num_bits - 1 and quantize(r) = floor(n r + 1/2) / n for r in [0, 1]
(S. Zhou et al., DoReFa-Net, 2016, arXiv:1606.06160, equations 5, 9 and 11):

    weights            y = A (2 quantize(tanh(w) / (2 M) + 1/2) - 1),  M = max|tanh(w)|
    weights, 1 bit     y = mean|w| sign(w),  sign(0) = 1
    inputs, outputs    y = C quantize(clamp(x / C, 0, 1))

The codes of weights are the odd numbers from -n to n: zero is no level. A is 1 in the paper; by
default, `keep_range: true`, it is max|w|, so that pretrained weights keep their size. C is 1 in the
paper, and `clip` here.

Backward, with M and A taken as constant:

    weights            dy/dw = A (1 - tanh(w)^2) / M
    weights, 1 bit     dy/dw = 1
    inputs, outputs    dy/dx = 1 where 0 <= x <= C, 0 elsewhere

M and A follow the weights in each training step. As weights are squashed before they are put on the
grid, numbers of the grid are not left where they are if quantized again.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.autograd import Function

from quantlab.algorithms.algorithm import AlgorithmConfig, GranularityField
from quantlab.algorithms.layers import Target
from quantlab.algorithms.learned_grid import learned_grid
from quantlab.algorithms.site import Site
from quantlab.algorithms.start import StartController
from quantlab.autograd import apply
from quantlab.controller import Controller
from quantlab.errors import UsageError
from quantlab.numerics.affine import narrow, widen
from quantlab.numerics.granularity import Granularity, PerTensor, reduced_axes
from quantlab.quantizer import Quantizer, QuantSpec

MAX_BITS = 8

# A, the largest number of the grid of weights of more than 1 bit: max|w|, 1 or M.
LargestNumber = Literal["max", "one", "squashed"]


class _Squashed(Function):
    @staticmethod
    def forward(ctx: Any, w: Tensor, scale: Tensor, widest: Tensor, num_steps: int) -> Tensor:
        # Not the buffers themselves: a second call of the layer observes, and writes them.
        ctx.save_for_backward(w, scale * num_steps / widest)
        ctx.num_steps = num_steps
        codes = squashed_codes(w, widest, num_steps).to(scale.dtype)
        return narrow(codes * scale, w.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        w, gain = ctx.saved_tensors
        if ctx.num_steps == 1:
            return grad, None, None, None
        slope = (1.0 - torch.tanh(widen(w)).square()) * gain
        return (grad * slope).to(w.dtype), None, None, None


def squashed_codes(w: Tensor, widest: Tensor, num_steps: int) -> Tensor:
    """Return the odd codes -n to n of `w`, in float64, where no compiler's tanh moves a code.

    widest: M, broadcasts.
    """
    wide = w.double()
    if num_steps == 1:
        share = (wide >= 0).to(wide.dtype)
    else:
        share = torch.tanh(wide).div_(2.0 * widest.double()).add_(0.5).clamp_(0.0, 1.0)
    return share.mul_(num_steps).add_(0.5).floor_().mul_(2.0).sub_(num_steps)


class DorefaWeightQuantizer(Quantizer):
    """See the module. scale: A / n; widest: M; both of `scale_shape`."""

    is_following: ClassVar[bool] = True
    widest: Tensor

    def __init__(self, spec: QuantSpec, shape: Sequence[int], *, largest: LargestNumber) -> None:
        super().__init__(spec, shape)
        self.register_buffer("scale", torch.ones(self.scale_shape))
        self.register_buffer("widest", torch.ones(self.scale_shape))
        self._largest = largest
        self._reduced_axes = reduced_axes(spec.granularity.split_shape(shape), self.scale_shape)

    @property
    def num_steps(self) -> int:
        return int(2**self.spec.num_bits - 1)

    def observe(self, x: Tensor) -> None:
        with torch.no_grad():
            sizes = widen(self.split(x)).abs()
            axes, keepdim = self._reduced_axes, bool(self.scale_shape)
            if self.num_steps == 1:
                end = sizes.mean(axes, keepdim=keepdim)
            else:
                end = sizes.amax(axes, keepdim=keepdim)
                self.widest.copy_(torch.tanh(end).masked_fill(end == 0, 1.0))
                if self._largest == "one":
                    end = torch.ones_like(end)
                elif self._largest == "squashed":
                    end = self.widest
            self.scale.copy_(end.masked_fill(end == 0, 1.0) / self.num_steps)

    def fake_quantize(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled() and x.requires_grad:
            return apply(_Squashed, x, self.scale, self.widest, self.num_steps)
        codes = squashed_codes(x, self.widest, self.num_steps)
        return (codes.to(self.scale.dtype) * self.scale).to(x.dtype)

    def encode(self, x: Tensor) -> Tensor:
        return squashed_codes(x, self.widest, self.num_steps).to(torch.int32)

    def positions(self, x: Tensor) -> Tensor:
        if self.num_steps == 1:
            return super().positions(x)
        return torch.tanh(widen(self.split(x))) / self.widest * self.num_steps


class DorefaActivationQuantizer(Quantizer):
    """See the module. scale: C / n, fixed."""

    def __init__(self, spec: QuantSpec, *, clip: float) -> None:
        super().__init__(spec)
        self.register_buffer("scale", torch.tensor(clip / spec.quant_max))

    def observe(self, x: Tensor) -> None:
        return

    def fake_quantize(self, x: Tensor) -> Tensor:
        return learned_grid(x, self.scale, quant_min=self.quant_min, quant_max=self.quant_max)


def odd_codes(num_bits: int) -> tuple[int, ...]:
    """Return the codes of weights: the odd numbers from -n to n, n = 2^num_bits - 1."""
    num_steps = 2**num_bits - 1
    return tuple(range(-num_steps, num_steps + 1, 2))


def weight_quantizer(
    weight: Tensor, *, num_bits: int, granularity: Granularity, largest: LargestNumber
) -> DorefaWeightQuantizer:
    """Return the quantizer of a weight, with its range."""
    spec = QuantSpec(
        num_bits=num_bits, signed=True, granularity=granularity, levels=odd_codes(num_bits)
    )
    quantizer = DorefaWeightQuantizer(spec, tuple(weight.shape), largest=largest)
    quantizer.to(weight.device).observe(weight)
    return quantizer


class DorefaConfig(AlgorithmConfig):
    """The settings of DoReFa-Net.

    num_bits: of a code.
    keep_range: weights of more than 1 bit keep their largest size; false for the paper's 1.
    clip: the largest number of inputs and outputs, C; None: 1.
    granularity: which weights share M and A; None for per_tensor, as in the paper.
    start_epoch: float before.
    """

    kind: Literal["dorefa"] = "dorefa"
    num_bits: int = Field(ge=1, le=MAX_BITS)
    keep_range: bool = True
    clip: float | None = Field(default=None, gt=0)
    granularity: GranularityField | None = None
    start_epoch: int = Field(default=1, ge=0)

    def check(self, on: Target) -> None:
        if on == "weight" and self.clip is not None:
            raise UsageError(f"clip: {self.clip:g} has no effect on a weight")
        if on != "weight" and self.granularity is not None:
            raise UsageError(f"granularity: '{self.granularity}' has no effect on an {on}")
        if not self.keep_range and (on != "weight" or self.num_bits == 1):
            tensor = f"an {on}" if on != "weight" else "a weight of 1 bit"
            raise UsageError(f"keep_range: False has no effect on {tensor}")

    def quantizer(self, on: Target, weight: Tensor, *, output_axis: int = 0) -> Quantizer:
        if on != "weight":
            return DorefaActivationQuantizer(
                QuantSpec(num_bits=self.num_bits, signed=False), clip=self.clip or 1.0
            )
        return weight_quantizer(
            weight,
            num_bits=self.num_bits,
            granularity=self.granularity or PerTensor(),
            largest="max" if self.keep_range else "one",
        )

    def controller(self, sites: Sequence[Site[Quantizer]]) -> Controller:
        return StartController(self.kind, sites, start_epoch=self.start_epoch)
