"""Convolutions and fully connected layers."""

import numpy as np
from numpy.typing import NDArray
from torch import fx, nn

from quantlab.errors import UsageError
from quantlab.graphs.slots import applied
from quantlab.graphs.weights import (
    LAYERS,
    TRANSPOSED,
    check_not_generated,
    check_own_weight,
    output_axis,
)
from quantlab.integer.lower.finite import finite
from quantlab.integer.lower.grid import Reals
from quantlab.integer.lower.kernels import Kernel, convolve, multiply
from quantlab.integer.lower.lowering import Lowering
from quantlab.integer.lower.rows import lifted, lowered_to
from quantlab.integer.lower.transposed import transposed
from quantlab.integer.lower.value import Term, Value
from quantlab.integer.lower.windows import windows_of
from quantlab.integer.tensor_type import S32

# A larger bias, in steps of the accumulator, is added when that is rescaled, in 64 bits.
_MOST_BIAS = 2.0**29


def lower_layer(lowering: Lowering, node: fx.Node, layer: nn.Module, x: Value) -> Value:
    """Return what a convolution or linear layer makes of codes, as accumulators.

    Codes have a zero point z, so that it computes sum w (x - z) = sum w x - z sum w; the second
    part is in the accumulator's bias, and z stands beyond the border.
    """
    assert isinstance(layer, LAYERS + TRANSPOSED)
    path, x = str(node.target), codes_read(lowering, node, layer, x)
    assert x.grid is not None
    weight, scale_O = _weights(layer, path)
    step_O = scale_O * x.grid.scale.item()  # in real numbers, of the accumulator
    bias_O, rest_O = bias_of(layer, path, step_O)
    tensor = _sums(lowering, node, layer, x, weight, bias_O)
    return finished(lowering, node, layer, tensor, step_O, rest_O)


def codes_read(lowering: Lowering, node: fx.Node, layer: nn.Module, x: Value) -> Value:
    """Return what a layer reads as codes of at most 16 bits."""
    path, slots = str(node.target), applied(layer)
    if "input_quantizer" in slots:
        x = lowering.quantized(x, slots["input_quantizer"], f"{path}.input_quantizer")
    x = lowering.codes(x, lowering.source(node))
    assert x.grid is not None
    if x.grid.kind == S32:
        raise UsageError(
            f"{path}.input_quantizer: codes from {x.grid.low} to {x.grid.high} given, 16 bits with "
            "a sign allowed; 15 bits, or signed: true, make it fit"
        )
    return x


def bias_of(layer: nn.Module, path: str, step_O: Reals) -> tuple[NDArray[np.int64], Reals]:
    """Return the bias of a layer in whole steps of the accumulator, and what is left of it in real
    numbers. step_O: of each output, in real numbers."""
    bias_O = np.zeros(len(step_O))
    if layer.bias is not None:
        bias_O = finite(layer.get_parameter("bias"), f"{path}.bias")
    whole_O = np.rint(bias_O / step_O)
    whole_O = np.where(np.abs(whole_O) < _MOST_BIAS, whole_O, 0.0)
    return whole_O.astype(np.int64), bias_O - whole_O * step_O


def finished(
    lowering: Lowering, node: fx.Node, layer: nn.Module, tensor: str, step_O: Reals, rest_O: Reals
) -> Value:
    """Return the sums of a layer as its value. step_O, rest_O: as of `bias_of`."""
    path, slots = str(node.target), applied(layer)
    axes = (-1,) if isinstance(layer, nn.Linear) else (-1, 1, 1)
    y = Value(
        terms=(Term(tensor=tensor, scale=step_O.reshape(axes)),),
        offset=rest_O.reshape(axes),
        shape=lowering.builder.types[tensor].shape,
        node=path,
    )
    y = lowered_to(lowering, node, y)
    if "output_quantizer" in slots:
        return lowering.quantized(y, slots["output_quantizer"], f"{path}.output_quantizer")
    return y


def _sums(
    lowering: Lowering,
    node: fx.Node,
    layer: nn.Module,
    x: Value,
    weight: NDArray[np.int8],
    bias: NDArray[np.int64],
) -> str:
    """Return the sums of a layer over codes, `[O, H, W]` of convolutions of one axis too."""
    if isinstance(layer, nn.Linear):
        return multiply(lowering, node, x, weight, bias)
    x = lifted(lowering, node, x)
    planes = weight if weight.ndim == 4 else weight[:, :, None]
    if isinstance(layer, TRANSPOSED):
        return transposed(lowering, node, layer, x, planes, bias)
    assert isinstance(layer, nn.Conv1d | nn.Conv2d)
    kernel = Kernel(weight=planes, bias=bias, windows=windows_of(layer), groups=layer.groups)
    return convolve(lowering, node, x, kernel)


def _weights(layer: nn.Module, path: str) -> tuple[NDArray[np.int8], Reals]:
    """Return the codes of a layer's weights, `[O, ...]`, and the scale of each output, `[O]`."""
    quantizer = applied(layer).get("weight_quantizer")
    check_own_weight(layer, path)
    check_not_generated(layer, path)
    if quantizer is None:
        raise UsageError(
            f"layer '{path}': its weight has no quantizer; quantize it to 8 bits or fewer"
        )
    if not quantizer.is_complete:
        raise UsageError(
            f"layer '{path}': its weight has a quantizer that has not wholly started; train for "
            "more epochs, or let it start earlier (start_epoch, schedule)"
        )
    weight, axis = layer.get_parameter("weight"), output_axis(layer)
    finite(weight, f"{path}.weight")
    codes = quantizer.codes(weight).cpu().numpy()
    scale = finite(quantizer.scale, f"{path}.weight_quantizer.scale")
    is_by_output = scale.size == codes.shape[axis] == (*scale.shape, 1, 1)[axis]
    if scale.size > 1 and not is_by_output:
        raise UsageError(
            f"layer '{path}': weights quantized {quantizer.spec.granularity}; per_tensor or "
            f"per_axis:{axis} allowed"
        )
    if codes.min() < -128 or codes.max() > 127:
        raise UsageError(
            f"layer '{path}': weights of {codes.min()} to {codes.max()}, -128 to 127 allowed; "
            "fewer bits (num_bits) make them fit"
        )
    scale_O = np.broadcast_to(scale.reshape(-1), (codes.shape[axis],))
    if not isinstance(layer, TRANSPOSED):
        return codes.astype(np.int8), scale_O
    return _outputs_first(codes.astype(np.int8), layer.groups), np.tile(scale_O, layer.groups)


def _outputs_first(weight: NDArray[np.int8], groups: int) -> NDArray[np.int8]:
    """Return `[C, O / groups, ...]` as `[O, C / groups, ...]`."""
    inputs, outputs, *kernel = weight.shape
    split = weight.reshape(groups, inputs // groups, outputs, *kernel)
    return split.swapaxes(1, 2).reshape(groups * outputs, inputs // groups, *kernel)
