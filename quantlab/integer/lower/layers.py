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
from quantlab.integer.lower.rows import lifted, lowered_to, pair
from quantlab.integer.lower.transposed import transposed
from quantlab.integer.lower.value import Term, Value
from quantlab.integer.operations import Windows
from quantlab.integer.tensor_type import S32

# A larger bias, in steps of the accumulator, is added when that is rescaled, in 64 bits.
_MOST_BIAS = 2.0**29


def lower_layer(lowering: Lowering, node: fx.Node, layer: nn.Module, x: Value) -> Value:
    """Return what a convolution or linear layer makes of codes, as accumulators.

    Codes have a zero point z, so that it computes sum w (x - z) = sum w x - z sum w; the second
    part is in the accumulator's bias, and z stands beyond the border.
    """
    assert isinstance(layer, LAYERS + TRANSPOSED)
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
    weight, scale_O = _weights(layer, path)
    step_O = scale_O * x.grid.scale.item()  # in real numbers, of the accumulator
    bias_O = np.zeros(len(weight))
    if layer.bias is not None:
        bias_O = finite(layer.get_parameter("bias"), f"{path}.bias")
    whole_O = np.rint(bias_O / step_O)
    whole_O = np.where(np.abs(whole_O) < _MOST_BIAS, whole_O, 0.0)
    tensor = _sums(lowering, node, layer, x, weight, whole_O.astype(np.int64))
    shape = lowering.builder.types[tensor].shape
    axes = (-1,) if isinstance(layer, nn.Linear) else (-1, 1, 1)
    y = Value(
        terms=(Term(tensor=tensor, scale=step_O.reshape(axes)),),
        offset=(bias_O - whole_O * step_O).reshape(axes),
        shape=shape,
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
    kernel = Kernel(weight=planes, bias=bias, windows=_windows(layer), groups=layer.groups)
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


def _windows(layer: nn.Conv1d | nn.Conv2d) -> Windows:
    axes = len(layer.kernel_size)
    kernel, dilation = pair(layer.kernel_size, axes), pair(layer.dilation, axes)
    if layer.padding == "same":
        totals = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        top, left = (total // 2 for total in totals)
        padding = (top, left, totals[0] - top, totals[1] - left)
    else:
        given = 0 if isinstance(layer.padding, str) else layer.padding
        rows, columns = pair(given, axes, 0)
        padding = (rows, columns, rows, columns)
    return Windows(
        kernel=kernel, stride=pair(layer.stride, axes), padding=padding, dilation=dilation
    )
