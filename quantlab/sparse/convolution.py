"""Convolutions with the kept weights only."""

from quantlab.sparse.arithmetic.float32 import Float
from quantlab.sparse.convolution_layer import Conv2dLayer


class SparseConv2d(Conv2dLayer):
    """A convolution of images `[B, C, H, W]` or `[C, H, W]`, float32 or float64, on the CPU.

    Its arguments are those of `Conv2dLayer`.
    """

    arithmetic = Float()
