"""Convolutions with the kept weights only."""

from torch import Tensor

from quantlab.sparse.convolution_layer import Conv2dLayer
from quantlab.sparse.functional import sparse_product
from quantlab.sparse.plan import Plan


class SparseConv2d(Conv2dLayer):
    """A convolution of images `[B, C, H, W]` or `[C, H, W]`, float32 or float64, on the CPU.

    Its arguments are those of `Conv2dLayer`.
    """

    def _multiply(self, x: Tensor, plan: Plan) -> Tensor:
        return sparse_product(x, self.weight, self.bias, plan)
