"""Weights of a pack as the kernels take them: codes stay codes."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from quantlab.backend import Factor, PackedConvolution
from quantlab.floats.operations import Product
from quantlab.packs.weights import PlainWeight, Weight

if TYPE_CHECKING:
    from quantlab.packs.pack import Source

_ONE = np.ones(1)


def packed(product: Product, padding: tuple[int, int]) -> PackedConvolution:
    """Return a product of a weight of floats, ready to run.

    padding: rows above and below, columns before and behind.
    """
    return PackedConvolution.dense(_channels_first(product.weight), *_rest(product, padding))


def packed_channels(factors: NDArray[Any], offsets: NDArray[Any] | None) -> PackedConvolution:
    """Return `factors * x + offsets` of each channel, both `[C]`, as a depthwise convolution."""
    weight = np.ascontiguousarray(factors, np.float32).reshape(-1, 1, 1, 1)
    bias = None if offsets is None else np.ascontiguousarray(offsets, np.float32).reshape(-1)
    return PackedConvolution.dense(weight, bias, (1, 1), (0, 0), (1, 1), len(weight))


def packed_codes(
    product: Product, padding: tuple[int, int], weight: Weight, source: "Source"
) -> PackedConvolution:
    """Return a product of a weight of codes, ready to run; generated ones are not computed, unless
    their kernels are no windows of the product, as those of blocks of inputs.

    Raises ValueError for codes of more than 16 bits.
    """
    name, rest = source.name, _rest(product, padding)
    outputs, rows, columns, inputs = product.weight.shape
    order = slice(None) if source.order is None else source.order
    scales = source.ratios.astype(np.float64).reshape(-1) * np.float64(source.scale)
    parts = {part: numbers.values for part, numbers in weight.parts.items()}
    if isinstance(weight, PlainWeight):
        whole = parts["weight"].reshape(outputs, inputs, rows, columns)[:, order]
        return PackedConvolution.dense(_factor(name, whole, scales), *rest)
    v, u, b = parts.get("coeff_out"), parts.get("coeff_in"), parts["basis"]
    if u is not None and b.shape[2:] != (rows, columns):
        return PackedConvolution.dense(
            _channels_first(source.weight(weight, product.weight.shape)), *rest
        )
    if u is None:
        b = b.reshape(len(b), inputs, rows, columns)[:, order]
    else:
        u = u[:, order]
    return PackedConvolution.factored(
        _factor(name, b, scales if v is None and u is None else _ONE),
        None if u is None else _factor(name, u, scales if v is None else _ONE),
        None if v is None else _factor(name, v, scales),
        *rest,
    )


def _rest(product: Product, padding: tuple[int, int]) -> tuple[Any, ...]:
    """Return the bias of a product and how its windows lie."""
    windows = product.windows
    bias = None if product.bias is None else np.ascontiguousarray(product.bias, np.float32)
    return bias, windows.stride, padding, windows.dilation, product.groups


def _factor(name: str, values: NDArray[Any], scales: NDArray[np.float64]) -> Factor:
    """Return codes and what they are multiplied by, or floats times it."""
    if not np.issubdtype(values.dtype, np.integer):
        numbers = values * scales.reshape(-1, *[1] * (values.ndim - 1))
        return np.ascontiguousarray(numbers, np.float32)
    lowest, highest, sizes = int(values.min()), int(values.max()), scales.astype(np.float32)
    if lowest >= -(2**7) and highest < 2**7:
        return np.ascontiguousarray(values, np.int8), sizes
    if lowest >= -(2**15) and highest < 2**15:
        return np.ascontiguousarray(values, np.int16), sizes
    raise ValueError(f"layer '{name}': codes {lowest} to {highest} given, 16 bits allowed")


def _channels_first(weight: NDArray[Any]) -> NDArray[np.float32]:
    """Return `[O, I, rows, columns]` of a product's weight."""
    return np.ascontiguousarray(weight.transpose(0, 3, 1, 2), np.float32)
