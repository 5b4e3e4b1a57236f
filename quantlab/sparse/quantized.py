"""Sparse layers that train on integers of 8 bits; their parameters are float32.

Inputs, weights and gradients of outputs are quantized in each call, as `arithmetic.int8` defines;
for the backward pass a byte is kept of each number of the input.
"""

import warnings
from typing import Self

from torch import Tensor, nn

from quantlab.sparse.arithmetic.int8 import Int8
from quantlab.sparse.convolution_layer import Conv2dLayer
from quantlab.sparse.linear_layer import LinearLayer


class QuantizedSparseLinear(LinearLayer):
    """y = x W^T + b for inputs `[..., in_features]`, float32, on the CPU, from int8.

    weight: dense, `[out_features, in_features]`; kept is what is not zero, or the mask's.
    """

    arithmetic = Int8()


class QuantizedSparseConv2d(Conv2dLayer):
    """A convolution of images `[B, C, H, W]` or `[C, H, W]`, float32, on the CPU, from int8.

    Its arguments are those of `Conv2dLayer`.
    """

    arithmetic = Int8()

    @classmethod
    def from_dense(
        cls, conv: nn.Conv2d, mask: Tensor | None = None, vectorizing_over_on: bool = False
    ) -> Self:
        """Return the sparse layer of a dense one's nonzero weights, or of those of a mask.

        vectorizing_over_on: along which axis other libraries' kernels go; here it has no effect,
        and True warns.
        """
        if vectorizing_over_on:
            warnings.warn(
                "vectorizing_over_on: True given; it has no effect, kernels go along the batch",
                stacklevel=2,
            )
        return super().from_dense(conv, mask)
