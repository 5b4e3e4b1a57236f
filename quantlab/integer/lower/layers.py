"""Convolutions and fully connected layers."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import fx, nn

from quantlab.errors import UsageError
from quantlab.graphs.slots import applied
from quantlab.graphs.weights import check_own_weight
from quantlab.integer.bounds import signed_bits
from quantlab.integer.lower.finite import finite
from quantlab.integer.lower.grid import Reals
from quantlab.integer.lower.lowering import Lowering
from quantlab.integer.lower.value import Term, Value
from quantlab.integer.operations import Convolution, Linear, Operation, Windows
from quantlab.integer.tensor_type import S32

# A larger bias, in steps of the accumulator, is added when that is rescaled, in 64 bits.
_MOST_BIAS = 2.0**29


def lower_layer(lowering: Lowering, node: fx.Node, layer: nn.Module, x: Value) -> Value:
    """Return what a convolution or linear layer makes of codes, as accumulators.

    Codes have a zero point z, so that it computes sum w (x - z) = sum w x - z sum w; the second
    part is in the accumulator's bias, and z stands beyond the border.
    """
    assert isinstance(layer, nn.Conv2d | nn.Linear)
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
        bias_O = finite(layer.bias, f"{path}.bias")
    whole_O = np.rint(bias_O / step_O)
    whole_O = np.where(np.abs(whole_O) < _MOST_BIAS, whole_O, 0.0)
    operation, zeros_O = _operation(layer, path, weight, x)
    tensor = lowering.builder.emit(
        operation(
            inputs=(x.terms[0].tensor,),
            output=lowering.builder.name(node.name),
            layer=path,
            weight=weight,
            weight_bits=_num_bits(weight),
            bias=(whole_O.astype(np.int64) - zeros_O).astype(np.int32),
        )
    )
    axes = (-1, 1, 1) if isinstance(layer, nn.Conv2d) else (-1,)
    y = Value(
        terms=(Term(tensor=tensor, scale=step_O.reshape(axes)),),
        offset=(bias_O - whole_O * step_O).reshape(axes),
        shape=lowering.shape(node),
        node=path,
    )
    if "output_quantizer" in slots:
        return lowering.quantized(y, slots["output_quantizer"], f"{path}.output_quantizer")
    return y


def _operation(
    layer: nn.Conv2d | nn.Linear, path: str, weight: NDArray[np.int8], x: Value
) -> tuple[Callable[..., Operation], NDArray[np.int64]]:
    """Return the operation but for what all layers have, and z sum w of each output."""
    assert x.grid is not None
    wide = weight.astype(np.int64)
    zero = x.grid.zero_point.reshape(-1)
    if isinstance(layer, nn.Linear):
        return Linear, (wide * zero).sum(1)
    zero_C = np.broadcast_to(zero, (x.shape[0],))
    group_O = np.arange(len(weight)) // (len(weight) // layer.groups)
    zero_OI = zero_C.reshape(layer.groups, -1)[group_O]
    windows, groups = _windows(layer), layer.groups

    def convolution(**common: Any) -> Operation:
        codes = zero_C.astype(np.int32)
        return Convolution(padding_codes=codes, windows=windows, groups=groups, **common)

    return convolution, (wide.sum((2, 3)) * zero_OI).sum(1)


def _weights(layer: nn.Module, path: str) -> tuple[NDArray[np.int8], Reals]:
    """Return the codes of a layer's weights and the scale of each output, `[O]`."""
    quantizer = applied(layer).get("weight_quantizer")
    check_own_weight(layer, path)
    if quantizer is None:
        raise UsageError(
            f"layer '{path}': its weight has no quantizer; quantize it to 8 bits or fewer"
        )
    if not quantizer.is_complete:
        raise UsageError(
            f"layer '{path}': its weight has a quantizer that has not wholly started; train for "
            "more epochs, or let it start earlier (start_epoch, schedule)"
        )
    weight = layer.get_parameter("weight")
    finite(weight, f"{path}.weight")
    codes = quantizer.codes(weight).cpu().numpy()
    scale = finite(quantizer.scale, f"{path}.weight_quantizer.scale")
    if scale.size not in (1, len(codes)):
        raise UsageError(
            f"layer '{path}': weights quantized {quantizer.spec.granularity}; per_tensor or "
            "per_axis:0 allowed"
        )
    if codes.min() < -128 or codes.max() > 127:
        raise UsageError(
            f"layer '{path}': weights of {codes.min()} to {codes.max()}, -128 to 127 allowed; "
            "fewer bits (num_bits) make them fit"
        )
    return codes.astype(np.int8), np.broadcast_to(scale.reshape(-1), (len(codes),))


def _num_bits(weight: NDArray[np.int8]) -> int:
    """Return of how many bits weights are: 1 if all are -1 or 1, else those of signed integers, 2
    at least."""
    if np.all(np.abs(weight) == 1):
        return 1
    return max(2, signed_bits(int(weight.min()), int(weight.max())))


def _windows(layer: nn.Conv2d) -> Windows:
    if layer.padding == "same":
        totals = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
        top, left = (total // 2 for total in totals)
        padding = (top, left, totals[0] - top, totals[1] - left)
    else:
        rows, columns = (0, 0) if isinstance(layer.padding, str) else layer.padding
        padding = (rows, columns, rows, columns)
    height, width = layer.kernel_size
    return Windows(
        kernel=(height, width),
        stride=(layer.stride[0], layer.stride[1]),
        padding=padding,
        dilation=(layer.dilation[0], layer.dilation[1]),
    )
