"""STE: uniform quantization trained with the straight-through estimator.

Forward, with the codes of the affine grid [quant_min, quant_max] and rounding half up:

    y = s * clamp(floor(x / s + 1/2), quant_min, quant_max)

Backward (Y. Bengio et al., Estimating or Propagating Gradients Through Stochastic Neurons, 2013,
arXiv:1308.3432, section 4, with saturation; B. Jacob et al., 2018, arXiv:1712.05877, section 3):

    dL/dx = dL/dy  where quant_min <= floor(x / s + 1/2) <= quant_max,  0 elsewhere

Scales get no gradient. Those of weights follow the weights in each training step, and are stored
for evaluation:

    weight_range max     s = max|w| / quant_max; nothing is clipped
    weight_range mean    s = 2 mean|w| / sqrt(quant_max), as S. Esser et al., Learned Step Size
                         Quantization, 2020, arXiv:1902.08153, section 2.1, start from

Those of inputs and outputs come from ranges observed before the quantizer starts, and are frozen
then.

Zero always has the code 0. Weights use the narrow signed range, hence an odd number of levels,
2^b - 1: at 2 bits -s, 0 and s.
"""

from collections.abc import Mapping
from typing import Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import FunctionCtx

from quantlab.algorithms.algorithm import AlgorithmConfig, GranularityField
from quantlab.algorithms.autograd import apply
from quantlab.algorithms.layers import Target
from quantlab.algorithms.observers import Observer, ObserverKind, make_observer
from quantlab.controller import Context, Controller
from quantlab.errors import DivergedError, UsageError
from quantlab.numerics.affine import (
    choose_scale_zero_point,
    fake_quantize,
    fake_quantize_masked,
    symmetric_scale,
    widen,
)
from quantlab.numerics.granularity import PerAxis, PerTensor, reduced_axes
from quantlab.numerics.ranges import MAX_BITS
from quantlab.quantizer import Quantizer, QuantSpec

WeightRange = Literal["max", "mean"]

DEFAULT_OBSERVER: ObserverKind = "moving_average"
DEFAULT_PERCENTILE = 99.9
DEFAULT_OBSERVE_STEPS = 100


class _Ste(Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx,
        x: Tensor,
        scale: Tensor,
        zero_point: Tensor | None,
        quant_min: int,
        quant_max: int,
    ) -> Tensor:
        y, mask = fake_quantize_masked(
            x, scale, zero_point, quant_min=quant_min, quant_max=quant_max
        )
        ctx.save_for_backward(mask)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        (mask,) = ctx.saved_tensors
        return grad * mask, None, None, None, None


def ste(
    x: Tensor, scale: Tensor, zero_point: Tensor | None, *, quant_min: int, quant_max: int
) -> Tensor:
    """Return `x` on the grid, in its shape and type, with the module's gradient.

    scale, zero_point: broadcast against `x`; None stands for zero.
    """
    if torch.is_grad_enabled() and x.requires_grad:
        return apply(_Ste, x, scale, zero_point, quant_min, quant_max)
    return fake_quantize(x, scale, zero_point, quant_min=quant_min, quant_max=quant_max)


class SteWeightQuantizer(Quantizer):
    """Symmetric, narrow, with a scale that follows the weights: see the module."""

    def __init__(
        self, spec: QuantSpec, shape: tuple[int, ...], *, weight_range: WeightRange
    ) -> None:
        super().__init__(spec, shape)
        self.register_buffer("scale", torch.ones(self.scale_shape))
        self._weight_range = weight_range
        self._reduced_axes = reduced_axes(spec.granularity.split_shape(shape), self.scale_shape)

    def observe(self, x: Tensor) -> None:
        with torch.no_grad():
            sizes = self.split(x).abs()
            keepdim = bool(self.scale_shape)
            if self._weight_range == "max":
                end = sizes.amax(self._reduced_axes, keepdim=keepdim)
            else:
                mean = sizes.mean(self._reduced_axes, keepdim=keepdim)
                end = mean * (2.0 * self.quant_max**0.5)
            self.scale.copy_(symmetric_scale(widen(end), quant_max=self.quant_max))

    def fake_quantize(self, x: Tensor) -> Tensor:
        return ste(x, self.scale, None, quant_min=self.quant_min, quant_max=self.quant_max)


class SteActivationQuantizer(Quantizer):
    """Per tensor, with the scale of a range that is observed first and frozen then.

    is_sign_found: the codes are signed if the observed range has negative numbers, else unsigned;
    otherwise they are as in `spec`.
    """

    def __init__(self, spec: QuantSpec, *, observer: Observer, is_sign_found: bool) -> None:
        super().__init__(spec)
        self.register_buffer("scale", torch.ones(self.scale_shape))
        self.observer = observer
        self._is_sign_found = is_sign_found

    def observe(self, x: Tensor) -> None:
        self.observer(x)

    def freeze(self, minimum: Tensor, maximum: Tensor) -> None:
        """Take a range as the final one. Waits for the device. Raises UsageError if not finite."""
        if self._is_sign_found:
            self.set_signed(bool(minimum < 0))
        scale, zero_point = choose_scale_zero_point(
            minimum,
            maximum,
            quant_min=self.quant_min,
            quant_max=self.quant_max,
            symmetric=self.spec.symmetric,
        )
        self.scale.copy_(scale)
        self.zero_point.copy_(zero_point)

    def fake_quantize(self, x: Tensor) -> Tensor:
        zero_point = None if self.spec.symmetric else self.zero_point
        return ste(x, self.scale, zero_point, quant_min=self.quant_min, quant_max=self.quant_max)


class SteController(Controller):
    """Starts the quantizers of a rule: float before `start_epoch`, fake-quantized from it on.

    Weights start at once. Activations are observed during the epoch before, or with start_epoch 0
    during the first `observe_steps` steps; then the ranges of all ranks are merged, so that all
    hold the same grid, and frozen. It has no state of its own: what has been done stands in the
    quantizers.
    """

    def __init__(
        self, quantizers: Mapping[str, Quantizer], *, start_epoch: int, observe_steps: int
    ) -> None:
        self._weights = {
            name: q for name, q in quantizers.items() if isinstance(q, SteWeightQuantizer)
        }
        self._activations = {
            name: q for name, q in quantizers.items() if isinstance(q, SteActivationQuantizer)
        }
        self._start_epoch = start_epoch
        self._observe_steps = observe_steps if start_epoch == 0 else 0

    def on_epoch_start(self, context: Context) -> None:
        if context.epoch >= self._start_epoch:
            for weight in self._weights.values():
                weight.set_enabled(True)
                weight.set_observing(True)
        waiting = self._waiting()
        if not waiting:
            return
        if context.epoch >= self._start_epoch and context.step >= self._observe_steps:
            self._start(waiting, context)
        elif context.epoch >= self._start_epoch - 1:
            for quantizer in waiting.values():
                quantizer.set_observing(True)

    def on_step_start(self, context: Context) -> None:
        """Raises DivergedError, UsageError: see `on_epoch_start`, which starts later epochs."""
        if self._observe_steps and context.step >= self._observe_steps:
            waiting = self._waiting()
            if waiting:
                self._start(waiting, context)

    def describe(self, epoch: int) -> str:
        count = len(self._weights) + len(self._activations)
        tensors = f"ste: {count} tensor{'' if count == 1 else 's'}"
        if epoch >= self._start_epoch:
            observed = f", activations after step {self._observe_steps}"
            return f"{tensors} fake-quantized" + (
                observed if self._activations and self._observe_steps else ""
            )
        is_next = self._activations and epoch == self._start_epoch - 1
        return f"{tensors} {'observed' if is_next else 'float'} until epoch {self._start_epoch}"

    def _waiting(self) -> dict[str, SteActivationQuantizer]:
        return {name: q for name, q in self._activations.items() if not q.is_enabled}

    def _start(self, waiting: Mapping[str, SteActivationQuantizer], context: Context) -> None:
        """Merge the observed ranges over the ranks in one go, freeze them and quantize."""
        seen = [
            torch.stack([-q.observer.minimum, q.observer.maximum, q.observer.num_batches])
            for q in waiting.values()
        ]
        merged = context.communicator.all_reduce(torch.stack(seen), "max").cpu()
        for (name, quantizer), (low, high, num_batches) in zip(
            waiting.items(), merged, strict=True
        ):
            if not num_batches:
                raise UsageError(
                    f"{name}: 0 batches observed before epoch {context.epoch}, step "
                    f"{context.step}; at least 1 needed"
                )
            if not (low.isfinite() and high.isfinite()):
                raise DivergedError(
                    f"{name}: range [{-low.item()}, {high.item()}] observed, finite numbers allowed"
                )
            quantizer.freeze(-low, high)
            quantizer.set_observing(False)
            quantizer.set_enabled(True)


class SteConfig(AlgorithmConfig):
    """The settings of STE.

    num_bits: of a code; 1 bit only for unsigned inputs and outputs.
    granularity: of weights, None for per_axis:0; inputs and outputs are always per_tensor.
    weight_range: of weights, see the module; None: max from 4 bits on, mean below, where max would
        leave most weights at zero.
    signed: of inputs and outputs; None: found from the observed range.
    symmetric: of inputs and outputs; False gives them a zero point of their own.
    observer: of inputs and outputs, see `observers`; None: moving_average.
    percentile: of the observer of that name; None: 99.9.
    start_epoch: float before.
    observe_steps: of inputs and outputs with start_epoch 0; None: 100.
    """

    kind: Literal["ste"] = "ste"
    num_bits: int = Field(ge=1, le=MAX_BITS)
    granularity: GranularityField | None = None
    weight_range: WeightRange | None = None
    signed: bool | None = None
    symmetric: bool = True
    observer: ObserverKind | None = None
    percentile: float | None = Field(default=None, gt=50, le=100)
    start_epoch: int = Field(default=1, ge=0)
    observe_steps: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _check_settings(self) -> Self:
        if self.percentile is not None and self.observer != "percentile":
            raise UsageError("percentile: has no effect without observer 'percentile'")
        if self.observe_steps is not None and self.start_epoch > 0:
            raise UsageError(
                f"observe_steps: has no effect with start_epoch {self.start_epoch}, only with 0"
            )
        return self

    def check(self, on: Target) -> None:
        if on == "weight":
            unused = {
                "signed": self.signed,
                "observer": self.observer,
                "observe_steps": self.observe_steps,
                "symmetric": None if self.symmetric else False,
            }
            for name, value in unused.items():
                if value is not None:
                    raise UsageError(f"{name}: {value!r} has no effect on a weight")
        elif self.weight_range is not None:
            raise UsageError(f"weight_range: '{self.weight_range}' has no effect on an {on}")
        elif self.granularity not in (None, PerTensor()):
            raise UsageError(
                f"granularity: '{self.granularity}' given for an {on}, 'per_tensor' allowed"
            )
        if self.num_bits == 1 and self.signed is not False:
            raise UsageError(
                "num_bits: 1 given, at least 2 allowed but for unsigned inputs and outputs "
                "(signed: false)"
            )

    def quantizer(self, on: Target, weight: Tensor) -> Quantizer:
        if on == "weight":
            spec = QuantSpec(
                num_bits=self.num_bits,
                signed=True,
                narrow=True,
                granularity=self.granularity or PerAxis(0),
            )
            weight_range = self.weight_range or ("max" if self.num_bits >= 4 else "mean")
            quantizer = SteWeightQuantizer(spec, tuple(weight.shape), weight_range=weight_range).to(
                weight.device
            )
            quantizer.observe(weight)
            return quantizer
        spec = QuantSpec(num_bits=self.num_bits, signed=bool(self.signed), symmetric=self.symmetric)
        observer = make_observer(
            self.observer or DEFAULT_OBSERVER, self.percentile or DEFAULT_PERCENTILE
        )
        # With a zero point of its own, a range is covered whatever the sign of its codes.
        is_sign_found = self.signed is None and self.symmetric
        return SteActivationQuantizer(spec, observer=observer, is_sign_found=is_sign_found)

    def controller(self, quantizers: Mapping[str, Quantizer]) -> Controller:
        return SteController(
            quantizers,
            start_epoch=self.start_epoch,
            observe_steps=self.observe_steps or DEFAULT_OBSERVE_STEPS,
        )
