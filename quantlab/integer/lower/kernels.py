"""Convolutions and products of codes, as operations."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import fx

from quantlab.graphs.paths import origin
from quantlab.integer.bounds import signed_bits
from quantlab.integer.lower.lowering import Lowering
from quantlab.integer.lower.value import Value
from quantlab.integer.operations import Convolution, Linear, Windows


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """weight: `[O, C / groups, height, width]`. bias: `[O]`, in steps of the accumulator, without
    what the zero point of the input adds."""

    weight: NDArray[np.int8]
    bias: NDArray[np.int64]
    windows: Windows
    groups: int


def convolve(
    lowering: Lowering, node: fx.Node, x: Value, kernel: Kernel, name: str | None = None
) -> str:
    """Return the sums of a kernel over codes `[C, H, W]`; the zero point stands beyond the border.

    name: wanted for them; None: the node's.
    """
    zero, weight = _zero_of(x), kernel.weight
    bias = kernel.bias - zero * weight.astype(np.int64).sum((1, 2, 3))
    return lowering.builder.emit(
        Convolution(
            inputs=(x.terms[0].tensor,),
            output=lowering.builder.name(name or node.name),
            layer=origin(node),
            weight=weight,
            weight_bits=_num_bits(weight),
            bias=bias.astype(np.int32),
            padding_codes=np.full(x.shape[0], zero, np.int32),
            windows=kernel.windows,
            groups=kernel.groups,
        )
    )


def multiply(
    lowering: Lowering,
    node: fx.Node,
    x: Value,
    weight: NDArray[np.int8],
    bias: NDArray[np.int64],
    name: str | None = None,
) -> str:
    """Return the sums of a matrix `[O, I]` over codes `[..., I]`. bias: as of a Kernel. name: as of
    `convolve`."""
    zeros = weight.astype(np.int64).sum(1) * _zero_of(x)
    return lowering.builder.emit(
        Linear(
            inputs=(x.terms[0].tensor,),
            output=lowering.builder.name(name or node.name),
            layer=origin(node),
            weight=weight,
            weight_bits=_num_bits(weight),
            bias=(bias - zeros).astype(np.int32),
        )
    )


def _zero_of(x: Value) -> int:
    assert x.grid is not None
    return int(x.grid.zero_point.item())


def _num_bits(weight: NDArray[np.int8]) -> int:
    """Return of how many bits weights are: 1 if all are -1 or 1, else those of signed integers, 2
    at least."""
    if np.all(np.abs(weight) == 1):
        return 1
    return max(2, signed_bits(int(weight.min()), int(weight.max())))
