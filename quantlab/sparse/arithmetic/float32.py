"""Products of floats as they are: float32, or float64 on the scalar path."""

import torch
from torch import Tensor

from quantlab.sparse.arithmetic.floats import Floats


class Float(Floats):
    """Planes have the layer's own type; nothing is multiplied by a factor."""

    plane_type = torch.float32

    def plane_type_of(self, values: Tensor) -> torch.dtype:
        return values.dtype

    def factor_of_inputs(self, x: Tensor) -> float:
        return 1.0

    def factor_of_gradients(self, y_gradient: Tensor) -> float:
        return 1.0

    def factor_of_values(self, values: Tensor) -> float:
        return 1.0
