"""Bias correction: a quantized layer's outputs get the mean back that they had in float.

Quantization moves the mean of each output channel, since the errors of its few weights do not
cancel and activations are clipped. Over the samples n and the positions, per output channel,

    shift = mean_n (W~ x^_n + b) - mean_n (W x_n + b)

with the quantized weight W~ and the inputs x^ of the network quantized and corrected so far, is
taken off the bias (M. Nagel et al., Data-Free Quantization Through Weight Equalization and Bias
Correction, 2019, arXiv:1906.04721, equation 1 and those from 15 on; with data instead of batch
norms' statistics: appendix D). Layers come in the order in which the network calls them.

A layer without a bias gets one. Where a batch norm follows, that is the usual case: the batch norm
is left as it is, with the statistics of the float network, and what comes in has their mean again.
(Training with statistics of the batch undoes a bias before a batch norm; folding it, which is for
layers without quantizers and therefore comes first, gives the layer a bias beforehand.)
"""

from collections.abc import Iterable, Mapping
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
    call_order,
    inputs_of,
    present_weight,
    respond,
)
from quantlab.algorithms.after_training.modes import float_copy, weight_layers
from quantlab.algorithms.layers import carries
from quantlab.errors import DivergedError, UsageError
from quantlab.graphs.weights import num_outputs


@dataclass(frozen=True, kw_only=True)
class CorrectedLayer:
    """What bias correction did to a layer.

    largest_shift: of a channel's mean, before. deviation: the standard deviation of the float
        layer's outputs, over channels too, to compare it with. has_new_bias: it had none before.
    """

    name: str
    largest_shift: float
    deviation: float
    has_new_bias: bool

    def __str__(self) -> str:
        new = ", by a bias that it did not have" if self.has_new_bias else ""
        return (
            f"{self.name}: means shifted by at most {self.largest_shift:.4g} corrected{new} "
            f"(standard deviation {self.deviation:.4g})"
        )


def correct_biases(
    network: nn.Module,
    batches: Iterable[Batch],
    *,
    reference: nn.Module | None = None,
    progress: Progress = silent,
) -> tuple[CorrectedLayer, ...]:
    """Correct the biases of all layers whose weight has a quantizer, in place; return what was
    done, in the order of the calls.

    network: calibrated, see `calibrate`.
    batches: the network's inputs, or tuples that begin with them; all kept on its device.
    reference: the float network, with the same names; None: this one without its quantizers. After
        `adaround` it has to be given: `float_copy` makes it before.

    Raises UsageError if a weight has not started, is on its grid already without a reference given,
    or if a layer is not called; DivergedError for outputs that are not finite.
    """
    layers = weight_layers(network)
    if reference is None:
        _check_float(layers)
    reference = float_copy(network if reference is None else reference)
    inputs = list(inputs_of_batches(network, batches))
    calls = call_order(network, layers, inputs[0][:1])

    def correct(name: str, num_calls: int) -> CorrectedLayer:
        original = reference.get_submodule(name)
        wanted = _moments(reference, original, num_calls, inputs)
        found = _moments(network, layers[name], num_calls, inputs)
        shift = found.mean - wanted.mean
        if not bool(shift.isfinite().all()):
            raise DivergedError(f"{name}: outputs that are not finite, finite numbers allowed")
        has_new_bias = _take_off(layers[name], shift)
        return CorrectedLayer(
            name=name,
            largest_shift=shift.abs().max().item(),
            deviation=wanted.deviation,
            has_new_bias=has_new_bias,
        )

    corrected = []
    for name, num_calls in calls.items():
        corrected.append(correct(name, num_calls))
        progress("correct_biases", len(corrected), len(calls))
    return tuple(corrected)


@dataclass(frozen=True, kw_only=True)
class _Moments:
    """mean: of each output channel, [C], float64. deviation: of all outputs."""

    mean: Tensor
    deviation: float


def _moments(
    network: nn.Module, layer: nn.Module, num_calls: int, inputs: list[Tensor]
) -> _Moments:
    """Return the moments of what a layer computes, before its output quantizer."""
    weight = present_weight(layer)
    channels = -1 if isinstance(layer, nn.Linear) else 1
    size = num_outputs(layer)
    total = square = torch.zeros(size, dtype=torch.float64, device=weight.device)
    count = 0
    for x in inputs_of(network, layer, num_calls, inputs):
        y = respond(layer, x, weight).double().movedim(channels, -1).flatten(0, -2)
        total = total + y.sum(0)
        square = square + y.square().sum(0)
        count += len(y)
    variance = (square.sum() / count - (total.sum() / count).square() / size) / size
    return _Moments(mean=total / count, deviation=variance.clamp(min=0).sqrt().item())


def _take_off(layer: nn.Module, shift: Tensor) -> bool:
    """Take a shift off a layer's bias; return whether it had none."""
    weight, bias = layer.get_parameter("weight"), layer._parameters.get("bias")
    with torch.no_grad():
        if bias is not None:
            bias.copy_(bias.double() - shift)
        else:
            layer.register_parameter("bias", nn.Parameter(-shift.to(weight), weight.requires_grad))
    return bias is None


def _check_float(layers: Mapping[str, nn.Module]) -> None:
    """Raise UsageError if a weight is on its grid already: then its float network is not known."""
    for name, layer in layers.items():
        quantizer, weight = carries(layer)["weight"], layer.get_parameter("weight").detach()
        if torch.equal(quantizer.dequantize(quantizer.codes(weight)), weight):
            raise UsageError(
                f"{name}.weight_quantizer: its weight is on the grid already, so the float network "
                "is not known; reference=float_copy(network), made before, allowed"
            )
