"""Fully connected layers with the kept weights only."""

from torch import Tensor

from quantlab.sparse.arithmetic.float32 import Float
from quantlab.sparse.functional import sparse_product
from quantlab.sparse.functional_gather import gather_product
from quantlab.sparse.linear_layer import LinearLayer


class SparseLinear(LinearLayer):
    """y = x W^T + b for inputs `[..., in_features]`, float32 or float64, on the CPU.

    weight: dense, `[out_features, in_features]`; kept is what is not zero, or the mask's.
    """

    arithmetic = Float()

    def _product(self, x: Tensor) -> Tensor:
        plan = self.plan_for(x)
        if plan.gather is None:
            return sparse_product(x, self.values(), self.bias, plan, self.arithmetic)
        return gather_product(x, self.values(), self.bias, plan.gather)
