"""Fully connected layers with the kept weights only."""

from torch import Tensor

from quantlab.sparse.functional import sparse_product
from quantlab.sparse.linear_layer import LinearLayer
from quantlab.sparse.plan import Plan


class SparseLinear(LinearLayer):
    """y = x W^T + b for inputs `[..., in_features]`, float32 or float64, on the CPU.

    weight: dense, `[out_features, in_features]`; kept is what is not zero, or the mask's.
    """

    def _multiply(self, x: Tensor, plan: Plan) -> Tensor:
        return sparse_product(x, self.weight, self.bias, plan)
