"""Sparse layers on 16-bit floats; their parameters are float32.

Kernels read half the memory, and for the backward pass two bytes are kept of each number of the
input, as `arithmetic.half` defines.
"""

from quantlab.sparse.arithmetic.half import Half
from quantlab.sparse.convolution_layer import Conv2dLayer
from quantlab.sparse.linear_layer import LinearLayer


class HalfSparseLinear(LinearLayer):
    """y = x W^T + b for inputs `[..., in_features]`, float32, on the CPU, kept in float16.

    weight: dense, `[out_features, in_features]`; kept is what is not zero, or the mask's.
    """

    arithmetic = Half()


class HalfSparseConv2d(Conv2dLayer):
    """A convolution of images `[B, C, H, W]` or `[C, H, W]`, float32, on the CPU, kept in float16.

    Its arguments are those of `Conv2dLayer`.
    """

    arithmetic = Half()
