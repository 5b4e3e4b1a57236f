"""ANA: the stairs of the grid are blurred by noise, which is annealed until they are hard.

Forward in training, with the scale s, the codes c_0 < ... < c_K, the thresholds
t_i = (c_i + c_(i-1)) / 2, the steps d_i = c_i - c_(i-1), v = x / s, and noise of the distribution
function F and the standard deviation a, in units of the scale (M. Spallanzani et al., Additive
Noise Annealing and Approximation Properties of Quantized Neural Networks, 2019, arXiv:1905.10452,
section 3):

    expectation   y = s (c_0 + sum_i d_i F((v - t_i) / a))
    mode          y = s c_j, j the level with the largest F((v - t_j) / a) - F((v - t_(j+1)) / a)
    random        y = s c(v + a u), u drawn from the noise anew for each number

Backward, with the density f and the backward noise's standard deviation b:

    dy/dx = sum_i d_i f((v - t_i) / b) / b

In evaluation, and where the noise has gone, these are the hard stairs: the level nearest to v, in
the middle between two the upper one. Where the backward noise has gone too, nothing is learned any
more. The scale is fixed at the start.

Noise follows schedules by the epoch; the k-th layer of a rule is `stagger * k` epochs behind, so
that layers are annealed one after another.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.autograd import Function

from quantlab.algorithms.algorithm import AlgorithmConfig, GranularityField
from quantlab.algorithms.draws import seed_for
from quantlab.algorithms.layers import Target
from quantlab.algorithms.noise import NOISES, Noise, NoiseKind
from quantlab.algorithms.observers import Observer, ObserverKind, make_observer
from quantlab.algorithms.ranged_quantizer import RangedQuantizer, Setup
from quantlab.algorithms.site import Site
from quantlab.algorithms.start import StartController
from quantlab.algorithms.weight_range import WeightRange
from quantlab.autograd import apply
from quantlab.controller import Context, Controller
from quantlab.errors import UsageError
from quantlab.numerics.affine import range_scale_zero_point, widen
from quantlab.numerics.granularity import PerTensor
from quantlab.numerics.levels import level_codes, nearest_level, num_bits_for
from quantlab.quantizer import Quantizer, QuantSpec
from quantlab.schedule import Schedule

ForwardKind = Literal["expectation", "mode", "random"]


class _Stairs(Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        y: Tensor,
        scale: Tensor,
        codes: Sequence[int],
        noise_kind: NoiseKind,
        deviation: Tensor,
    ) -> Tensor:
        ctx.save_for_backward(x, scale, deviation)
        ctx.codes = codes
        ctx.noise_kind = noise_kind
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, deviation = ctx.saved_tensors
        v = widen(x) / scale
        slope = torch.zeros_like(v)
        noise = NOISES[ctx.noise_kind]
        for low, high in pairwise(ctx.codes):
            u = (v - (low + high) / 2) / deviation
            slope += (high - low) * noise.density(u) / deviation
        slope = torch.where(deviation > 0, slope, 0.0)
        return (grad * slope).to(x.dtype), None, None, None, None, None


def expected_codes(v: Tensor, codes: Sequence[int], noise: Noise, deviation: Tensor) -> Tensor:
    """Return the mean code of `v` plus noise, elementwise."""
    total = torch.full_like(v, codes[0])
    for low, high in pairwise(codes):
        total += (high - low) * noise.cdf((v - (low + high) / 2) / deviation)
    return total


def likeliest_codes(v: Tensor, codes: Sequence[int], noise: Noise, deviation: Tensor) -> Tensor:
    """Return the likeliest code of `v` plus noise; of equally likely ones the upper."""
    best = torch.full_like(v, codes[0])
    most = torch.full_like(v, -1.0)
    above = torch.ones_like(v)  # the probability to be over the threshold below
    for index, code in enumerate(codes):
        over = torch.zeros_like(v)
        if index + 1 < len(codes):
            over = noise.cdf((v - (code + codes[index + 1]) / 2) / deviation)
        probability = above - over
        is_likelier = probability >= most
        best, most = (
            torch.where(is_likelier, code, best),
            torch.where(is_likelier, probability, most),
        )
        above = over
    return best


class AnaQuantizer(RangedQuantizer):
    """See the module. noise: [2], the standard deviations forward and backward, state.

    Whether there is noise is decided on the device, so that annealing compiles nothing anew.
    """

    noise: Tensor

    def __init__(self, setup: Setup, *, noise_kind: NoiseKind, forward_kind: ForwardKind) -> None:
        super().__init__(setup)
        self.register_buffer("scale", torch.ones(self.scale_shape))
        self.register_buffer("noise", torch.zeros(2, dtype=torch.float64))
        self._noise_kind: NoiseKind = noise_kind
        self._forward_kind: ForwardKind = forward_kind
        self._generator: torch.Generator | None = None

    @property
    def generator(self) -> torch.Generator | None:
        return self._generator

    def set_noise(self, forward: float, backward: float) -> None:
        """Set the standard deviations, in units of the scale."""
        self.noise.copy_(torch.tensor((forward, backward), dtype=torch.float64))

    def set_seed(self, seed: int) -> None:
        """Begin the random numbers of a step."""
        if self._forward_kind == "random":
            if self._generator is None or self._generator.device != self.scale.device:
                self._generator = torch.Generator(self.scale.device)
            self._generator.manual_seed(seed)

    def take_range(self, minimum: Tensor, maximum: Tensor) -> None:
        scale, _ = range_scale_zero_point(
            minimum,
            maximum,
            quant_min=self.quant_min,
            quant_max=self.quant_max,
            symmetric=True,
        )
        self.scale.copy_(scale)

    def fake_quantize(self, x: Tensor) -> Tensor:
        if not self.training:
            return self._hard(x)
        y = self._blurred(x)
        if torch.is_grad_enabled() and x.requires_grad:
            return apply(
                _Stairs, x, y, self.scale, self.spec.codes, self._noise_kind, self.noise[1].clone()
            )
        return y

    def encode(self, x: Tensor) -> Tensor:
        return nearest_level(widen(x) / self.scale, self.spec.codes).to(torch.int32)

    def _hard(self, x: Tensor) -> Tensor:
        return (nearest_level(widen(x) / self.scale, self.spec.codes) * self.scale).to(x.dtype)

    def _blurred(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            v = widen(x.detach()) / self.scale
            noise, deviation = NOISES[self._noise_kind], self.noise[0]
            if self._forward_kind == "random":
                # Never 0 or 1, where a quantile may be infinite.
                drawn = torch.rand(v.shape, generator=self._generator, device=v.device)
                u = noise.quantile(drawn.to(v.dtype).clamp(2.0**-25, 1.0 - 2.0**-24))
                codes = nearest_level(v + deviation * u, self.spec.codes)
            elif self._forward_kind == "mode":
                codes = likeliest_codes(v, self.spec.codes, noise, deviation)
            else:
                codes = expected_codes(v, self.spec.codes, noise, deviation)
            codes = torch.where(deviation > 0, codes, nearest_level(v, self.spec.codes))
            return (codes * self.scale).to(x.dtype)


class AnaController(Controller):
    """Starts the quantizers as StartController does and anneals their noise. It has no state of its
    own: noise is a function of the epoch, random numbers of the step."""

    def __init__(
        self,
        sites: Sequence[Site[Quantizer]],
        *,
        start: StartController,
        forward: Schedule,
        backward: Schedule,
        stagger: float,
    ) -> None:
        self._quantizers = [site.quantizer for site in sites]
        self._start = start
        self._forward, self._backward, self._stagger = forward, backward, stagger

    def on_epoch_start(self, context: Context) -> None:
        self._start.on_epoch_start(context)
        for index, quantizer in enumerate(self._quantizers):
            assert isinstance(quantizer, AnaQuantizer)
            time = max(context.epoch - self._stagger * index, 0.0)
            deviations = self._forward(time), self._backward(time)
            for name, deviation in zip(("noise", "noise_backward"), deviations, strict=True):
                if deviation < 0:
                    raise UsageError(f"{name}: {deviation:g} at epoch {time:g}, at least 0 allowed")
            quantizer.set_noise(*deviations)

    def on_step_start(self, context: Context) -> None:
        self._start.on_step_start(context)
        for index, quantizer in enumerate(self._quantizers):
            assert isinstance(quantizer, AnaQuantizer)
            quantizer.set_seed(seed_for(context, index))

    def describe(self, epoch: int) -> str:
        first, last = epoch, max(epoch - self._stagger * (len(self._quantizers) - 1), 0.0)
        noises = sorted({self._forward(first), self._forward(last)})
        words = " to ".join(f"{noise:.3g}" for noise in noises)
        return f"{self._start.describe(epoch)}, noise {words}"


class AnaConfig(AlgorithmConfig):
    """The settings of ANA.

    num_levels: of weights about zero, odd for a zero among them; of inputs and outputs from zero
        upwards: 0, 1, ..., num_levels - 1.
    noise_kind: uniform, triangular, normal or logistic.
    forward: expectation, mode or random; see the module.
    noise: a schedule by the epoch of the standard deviation forward, in units of the scale.
    noise_backward: the same backward; None: as forward.
    stagger: how many epochs each layer of the rule is behind the one before.
    weight_range: of weights, see `weight_range`; None: mse.
    observer: of inputs and outputs; None: mse.
    granularity: which weights share a scale; None for per_tensor.
    start_epoch: float before.
    """

    kind: Literal["ana"] = "ana"
    num_levels: int
    noise_kind: NoiseKind = "uniform"
    forward: ForwardKind = "expectation"
    noise: Schedule
    noise_backward: Schedule | None = None
    stagger: float = Field(default=0.0, ge=0.0)
    weight_range: WeightRange | None = None
    observer: ObserverKind | None = None
    granularity: GranularityField | None = None
    start_epoch: int = Field(default=1, ge=0)

    def check(self, on: Target) -> None:
        level_codes(self.num_levels, "uniform")
        if on == "weight" and self.observer is not None:
            raise UsageError(f"observer: '{self.observer}' has no effect on a weight")
        if on != "weight" and self.weight_range is not None:
            raise UsageError(f"weight_range: '{self.weight_range}' has no effect on an {on}")
        if on != "weight" and self.granularity is not None:
            raise UsageError(f"granularity: '{self.granularity}' has no effect on an {on}")

    def quantizer(self, on: Target, weight: Tensor, *, output_axis: int = 0) -> Quantizer:
        is_weight = on == "weight"
        codes = level_codes(self.num_levels, "uniform") if is_weight else range(self.num_levels)
        source: Observer | WeightRange = self.weight_range or "mse"
        if not is_weight:
            source = make_observer(self.observer or "mse", 100.0)
        setup = Setup(
            spec=QuantSpec(
                num_bits=num_bits_for(self.num_levels),
                signed=is_weight,
                granularity=(self.granularity or PerTensor()) if is_weight else PerTensor(),
                levels=tuple(codes),
            ),
            shape=tuple(weight.shape) if is_weight else (),
            source=source,
            is_sign_found=False,
        )
        quantizer = AnaQuantizer(setup, noise_kind=self.noise_kind, forward_kind=self.forward)
        if is_weight:
            quantizer.to(weight.device).observe(weight)
        return quantizer

    def controller(self, sites: Sequence[Site[Quantizer]]) -> Controller:
        start = StartController(self.kind, sites, start_epoch=self.start_epoch, observe_steps=100)
        return AnaController(
            sites,
            start=start,
            forward=self.noise,
            backward=self.noise_backward or self.noise,
            stagger=self.stagger,
        )
