"""AdaRound: whether each weight is rounded down or up is learned, layer by layer.

Each layer learns the codes of its weight W as `learned_rounding` says (M. Nagel et al., Up or Down?
Adaptive Rounding for Post-Training Quantization, 2020, arXiv:2004.10568, equations 21 to 25), so
that of its outputs, with the bias b, over samples and positions,

    mean (f(W x + b) - f(W~ x^ + b))^2                                                    (25)

is least. x are the inputs of the float network and x^ those of the network quantized so far, its
activations included; f is the ReLU that follows, if nothing else reads the layer's output, else
nothing.

Layers come in the order in which the network calls them. The weight of each is set to its numbers
on the grid, so that its quantizer, whose scale rests from then on, gives the codes learned, and
nothing else changes. Where the codes learned are no better on the samples than those of nearest
rounding, those stay.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from quantlab.algorithms.after_training.batches import (
    Batch,
    Progress,
    inputs_of_batches,
    silent,
)
from quantlab.algorithms.after_training.layerwise import (
    before_relu,
    call_order,
    inputs_of,
    present_weight,
    respond,
)
from quantlab.algorithms.after_training.learned_rounding import AdaRoundSettings, learn_codes
from quantlab.algorithms.after_training.modes import float_copy, weight_layers
from quantlab.algorithms.layers import carries
from quantlab.errors import DivergedError, UsageError
from quantlab.graphs.select import select as parse_selector
from quantlab.numerics.affine import fake_quantize

_EVALUATED_AT_ONCE = 256


@dataclass(frozen=True, kw_only=True)
class RoundedLayer:
    """What AdaRound did to a layer.

    nearest_error, error: the mean squared error of its outputs, behind the ReLU that follows, with
        nearest rounding and as it is now. num_changed: codes that are not the nearest.
    """

    name: str
    nearest_error: float
    error: float
    num_changed: int
    num_weights: int

    def __str__(self) -> str:
        return (
            f"{self.name}: error {self.nearest_error:.4g} -> {self.error:.4g}, "
            f"{self.num_changed} of {self.num_weights} codes changed"
        )


def adaround(
    network: nn.Module,
    batches: Iterable[Batch],
    *,
    generator: torch.Generator,
    settings: AdaRoundSettings | None = None,
    reference: nn.Module | None = None,
    select: str = "*",
    progress: Progress = silent,
) -> tuple[RoundedLayer, ...]:
    """Learn the rounding of weights, in place; return what was done, in the order of the calls.

    network: calibrated, see `calibrate`.
    batches: the network's inputs, or tuples that begin with them; all kept on its device, with what
        one layer gets and gives for them.
    generator: on the CPU, draws the samples.
    reference: the float network, with the same names; None: this one without its quantizers.
    select: which of the layers with weight quantizers; see `quantlab.graphs.select`.

    Raises UsageError if a quantizer has not started or its levels are not evenly spaced, if a layer
    is not called, or if one is called with inputs of several shapes; DivergedError for outputs that
    are not finite. Layers before the one that an error is about stay rounded.
    """
    settings = settings or AdaRoundSettings()
    reference = float_copy(network if reference is None else reference)
    chosen = parse_selector(select).resolve(network)
    layers = {name: m for name, m in weight_layers(network).items() if name in chosen}
    for name, layer in layers.items():
        _check_roundable(f"{name}.weight_quantizer", layer)
    inputs = list(inputs_of_batches(network, batches))
    calls = call_order(network, layers, inputs[0][:1])
    float_layers = {name: reference.get_submodule(name) for name in layers}
    rectified = before_relu(reference, float_layers, inputs[0][:1])

    def round_layer(name: str, num_calls: int) -> RoundedLayer:
        layer, original = layers[name], float_layers[name]
        x = _joined(name, inputs_of(network, layer, num_calls, inputs))
        weight = present_weight(original)
        float_inputs = inputs_of(reference, original, num_calls, inputs)
        y = _joined(name, (respond(original, each, weight) for each in float_inputs))
        problem = _Problem(layer=layer, x=x, y=y, is_rectified=name in rectified)
        return _round(name, problem, settings, generator, progress)

    return tuple(round_layer(name, num_calls) for name, num_calls in calls.items())


@dataclass(frozen=True, kw_only=True)
class _Problem:
    """A layer with the inputs that it gets, [S, ...], and the outputs that it should give."""

    layer: nn.Module
    x: Tensor
    y: Tensor
    is_rectified: bool

    def squared_errors(self, weight: Tensor, index: Tensor | slice) -> Tensor:
        """Return the squared errors of some samples with a weight, in the outputs' shape."""
        found, wanted = respond(self.layer, self.x[index], weight), self.y[index]
        if self.is_rectified:
            found, wanted = found.relu(), wanted.relu()
        return (found - wanted).square()

    def mean_error(self, weight: Tensor) -> float:
        """Return the mean squared error of all samples."""
        total = sum(
            self.squared_errors(weight, slice(start, start + _EVALUATED_AT_ONCE)).double().sum()
            for start in range(0, len(self.x), _EVALUATED_AT_ONCE)
        )
        return float(total / self.y.numel())


def _round(
    name: str,
    problem: _Problem,
    settings: AdaRoundSettings,
    generator: torch.Generator,
    progress: Progress,
) -> RoundedLayer:
    """Learn the rounding of one layer and set its weight."""
    weight = problem.layer.get_parameter("weight")
    quantizer = carries(problem.layer)["weight"]
    nearest = quantizer.codes(weight)
    nearest_error = problem.mean_error(quantizer.dequantize(nearest).to(weight))
    if not math.isfinite(nearest_error):
        raise DivergedError(f"{name}: outputs that are not finite, finite numbers allowed")
    learned = learn_codes(
        weight.detach(),
        quantizer,
        problem.squared_errors,
        num_samples=len(problem.x),
        unit=nearest_error or 1.0,
        settings=settings,
        generator=generator,
        on_step=lambda step: progress(name, step, settings.num_steps),
    )
    error = problem.mean_error(quantizer.dequantize(learned).to(weight))
    if error >= nearest_error:
        learned, error = nearest, nearest_error
    with torch.no_grad():
        weight.copy_(quantizer.dequantize(learned))
    quantizer.set_observing(False)
    return RoundedLayer(
        name=name,
        nearest_error=nearest_error,
        error=error,
        num_changed=int((learned != nearest).sum()),
        num_weights=weight.numel(),
    )


def _joined(name: str, pieces: Iterable[Tensor]) -> Tensor:
    found = list(pieces)
    shapes = {tuple(piece.shape[1:]) for piece in found}
    if len(shapes) > 1:
        given = " and ".join(str(shape) for shape in sorted(shapes)[:2])
        raise UsageError(f"{name}: samples of the shapes {given} given, one shape allowed")
    return torch.cat(found)


def _check_roundable(name: str, layer: nn.Module) -> None:
    """Raise UsageError unless a weight's quantizer has all codes of even steps."""
    quantizer, weight = carries(layer)["weight"], layer.get_parameter("weight").detach()
    nearest = fake_quantize(
        quantizer.split(weight),
        quantizer.scale.detach(),
        quantizer.zero_point,
        quant_min=quantizer.quant_min,
        quant_max=quantizer.quant_max,
    ).reshape(weight.shape)
    codes = quantizer.codes(weight)
    is_even = quantizer.spec.levels is None and torch.equal(quantizer.dequantize(codes), nearest)
    if not is_even:
        raise UsageError(
            f"{name}: a {type(quantizer).__name__} given, whose levels are not those next to each "
            "weight in even steps"
        )
