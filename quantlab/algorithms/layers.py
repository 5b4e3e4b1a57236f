"""Layers that carry quantizers.

`attach` makes a layer pass its weight, input or output through a quantizer, which becomes the
submodule `weight_quantizer`, `input_quantizer` or `output_quantizer`. The layer stays the same
object with the same parameters and only changes its class, so that parameter names, parents,
optimizers, device, type, padding mode and hooks stay what they were, and a float state dict loads
with nothing missing but the quantizers' own entries. A layer without weights, such as an activation
or a pooling, keeps its class: a forward hook passes its output through `output_quantizer`.

A layer of a graph in which the quantizers of inputs and outputs are nodes has `has_open_edges` set
and leaves these two out (see `quantlab.graphs.slots`).
"""

from typing import Literal, get_args

from torch import Tensor, nn
from torch.nn import functional

from quantlab.errors import UsageError, did_you_mean
from quantlab.graphs.values import makes_value
from quantlab.graphs.weights import check_own_weight, is_generated, weight_of
from quantlab.quantizer import Quantizer

Target = Literal["weight", "input", "output"]
TARGETS: tuple[Target, ...] = get_args(Target)


def check_weight_only(kind: str, on: Target) -> None:
    """Raise UsageError unless `on` is a weight, for an algorithm that is about weights."""
    if on != "weight":
        raise UsageError(
            f"kind: '{kind}' given for an {on}, but it quantizes weights only; take another "
            "algorithm for it, such as 'lsq'"
        )


class QuantizedLinear(nn.Linear):
    """A Linear with quantizers; made by `attach` only."""

    has_open_edges: bool = False
    weight_quantizer: Quantizer | None
    input_quantizer: Quantizer | None
    output_quantizer: Quantizer | None

    def forward(self, input: Tensor) -> Tensor:
        x = input if self.has_open_edges else through(self.input_quantizer, input)
        y = functional.linear(x, through(self.weight_quantizer, self.weight), self.bias)
        return y if self.has_open_edges else through(self.output_quantizer, y)


class QuantizedConv1d(nn.Conv1d):
    """A Conv1d with quantizers; made by `attach` only."""

    has_open_edges: bool = False
    weight_quantizer: Quantizer | None
    input_quantizer: Quantizer | None
    output_quantizer: Quantizer | None

    def forward(self, input: Tensor) -> Tensor:
        x = input if self.has_open_edges else through(self.input_quantizer, input)
        y = self._conv_forward(x, through(self.weight_quantizer, self.weight), self.bias)
        return y if self.has_open_edges else through(self.output_quantizer, y)


class QuantizedConv2d(nn.Conv2d):
    """A Conv2d with quantizers; made by `attach` only."""

    has_open_edges: bool = False
    weight_quantizer: Quantizer | None
    input_quantizer: Quantizer | None
    output_quantizer: Quantizer | None

    def forward(self, input: Tensor) -> Tensor:
        x = input if self.has_open_edges else through(self.input_quantizer, input)
        y = self._conv_forward(x, through(self.weight_quantizer, self.weight), self.bias)
        return y if self.has_open_edges else through(self.output_quantizer, y)


class QuantizedConvTranspose1d(nn.ConvTranspose1d):
    """A ConvTranspose1d with quantizers; made by `attach` only."""

    has_open_edges: bool = False
    weight_quantizer: Quantizer | None
    input_quantizer: Quantizer | None
    output_quantizer: Quantizer | None

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        x = input if self.has_open_edges else through(self.input_quantizer, input)
        y = transposed(self, x, through(self.weight_quantizer, self.weight), self.bias, output_size)
        return y if self.has_open_edges else through(self.output_quantizer, y)


class QuantizedConvTranspose2d(nn.ConvTranspose2d):
    """A ConvTranspose2d with quantizers; made by `attach` only."""

    has_open_edges: bool = False
    weight_quantizer: Quantizer | None
    input_quantizer: Quantizer | None
    output_quantizer: Quantizer | None

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        x = input if self.has_open_edges else through(self.input_quantizer, input)
        y = transposed(self, x, through(self.weight_quantizer, self.weight), self.bias, output_size)
        return y if self.has_open_edges else through(self.output_quantizer, y)


QUANTIZED: dict[type[nn.Module], type[nn.Module]] = {
    nn.Linear: QuantizedLinear,
    nn.Conv1d: QuantizedConv1d,
    nn.Conv2d: QuantizedConv2d,
    nn.ConvTranspose1d: QuantizedConvTranspose1d,
    nn.ConvTranspose2d: QuantizedConvTranspose2d,
}


def through(quantizer: Quantizer | None, x: Tensor) -> Tensor:
    """Return `x` as the quantizer lets it pass; without one, as it is."""
    if quantizer is None:
        return x
    quantized: Tensor = quantizer(x)
    return quantized


def transposed(
    layer: nn.ConvTranspose1d | nn.ConvTranspose2d,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    output_size: list[int] | None = None,
) -> Tensor:
    """Return what a transposed convolution computes with another weight and bias.

    output_size: of height and width, or all axes; None: as its `output_padding` has it.
    """
    is_flat, padding = isinstance(layer, nn.ConvTranspose1d), layer.padding
    assert not isinstance(padding, str)  # of a transposed convolution it never is
    added = layer._output_padding(
        x,
        output_size,
        list(layer.stride),
        list(padding),
        list(layer.kernel_size),
        1 if is_flat else 2,
        list(layer.dilation),
    )
    function = functional.conv_transpose1d if is_flat else functional.conv_transpose2d
    y: Tensor = function(
        x, weight, bias, layer.stride, padding, added, layer.groups, layer.dilation
    )
    return y


def _has_slots(layer: nn.Module) -> bool:
    """Return whether the layer's class passes tensors through its quantizers."""
    return hasattr(type(layer), "has_open_edges")


def carries(layer: nn.Module) -> dict[Target, Quantizer]:
    """Return the quantizers that a layer has."""
    has_hook = _quantize_output in layer._forward_hooks.values()
    if not _has_slots(layer) and not has_hook:
        return {}
    found = {on: getattr(layer, f"{on}_quantizer", None) for on in TARGETS}
    return {on: quantizer for on, quantizer in found.items() if quantizer is not None}


def check_attachable(layer: nn.Module, name: str, on: Target = "weight") -> None:
    """Raise UsageError unless the layer's class is one that can carry such a quantizer.

    A subclass with a forward pass of its own cannot: there is no telling what that does with the
    weight. Nor can one whose weight is computed by torch from other parameters; one of a generated
    layer has none itself.
    """
    if on == "output" and makes_value(layer):
        return
    check_own_weight(layer, name)
    if on == "weight" and _has_slots(layer) and is_generated(layer):
        raise UsageError(
            f"{name}: a quantizer of its weight given, which is generated from factors with "
            f"quantizers of their own; leave it out with '!{name}'"
        )
    if type(layer) in QUANTIZED or _has_slots(layer):
        return
    if type(layer) is nn.modules.linear.NonDynamicallyQuantizableLinear:
        raise UsageError(
            f"{name}: part of a MultiheadAttention given, which does not call it; leave it out "
            f"with '!{name}'"
        )
    given, allowed = type(layer).__name__, [cls.__name__ for cls in QUANTIZED]
    raise UsageError(
        f"{name}: a {given} given, {', '.join(allowed)} allowed{did_you_mean(given, allowed)}"
    )


def attach(layer: nn.Module, on: Target, quantizer: Quantizer) -> None:
    """Make `layer` pass its weight, input or output through `quantizer`, in place.

    The quantizer moves to the layer's device, if the layer has a weight. Raises UsageError if the
    layer cannot carry one or already has one there.
    """
    check_attachable(layer, "layer", on)
    if on in carries(layer):
        raise UsageError(f"{on}_quantizer: a second one given, one per tensor allowed")
    if makes_value(layer):
        _attach_behind(layer, quantizer)
        return
    if type(layer) in QUANTIZED:
        layer.__class__ = QUANTIZED[type(layer)]
        for target in TARGETS:
            # A graph may have put one there already.
            if f"{target}_quantizer" not in layer._modules:
                layer.register_module(f"{target}_quantizer", None)
    setattr(layer, f"{on}_quantizer", quantizer.to(weight_of(layer).device).train(layer.training))


def _attach_behind(layer: nn.Module, quantizer: Quantizer) -> None:
    """Make a layer of torch.nn, or an operation, pass its output through a quantizer."""
    layer.output_quantizer = quantizer.train(layer.training)
    vars(layer)["has_open_edges"] = False
    if _quantize_output not in layer._forward_hooks.values():
        layer.register_forward_hook(_quantize_output)


def _quantize_output(layer: nn.Module, _: object, output: Tensor) -> Tensor:
    if getattr(layer, "has_open_edges", True):
        return output
    return through(getattr(layer, "output_quantizer", None), output)
