"""Fully connected layers with the kept weights only."""

from torch import Tensor

from quantlab.sparse.arithmetic.float32 import Float
from quantlab.sparse.functional_gather import gather_product
from quantlab.sparse.linear_layer import LinearLayer


class SparseLinear(LinearLayer):
    """y = x W^T + b for inputs `[..., in_features]`, float32 or float64, on the CPU.

    weight: dense, `[out_features, in_features]`; kept is what is not zero, or the mask's.
    """

    arithmetic = Float()

    def _product(self, x: Tensor) -> Tensor:
        gather = self.plan_for(x).gather
        if gather is None:
            return super()._product(x)
        return gather_product(x, self.weight, self.bias, gather)
