"""What fully connected layers with the kept weights only have, in any precision."""

from typing import Self

import torch
from torch import Tensor, nn

from quantlab.errors import UsageError
from quantlab.sparse.geometry import Geometry
from quantlab.sparse.layer import SparseLayer


class LinearLayer(SparseLayer):
    """y = x W^T + b for inputs `[..., in_features]`, on the CPU.

    weight: dense, `[out_features, in_features]`; kept is what is not zero, or the mask's.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, mask: Tensor | None = None) -> None:
        if weight.ndim != 2:
            raise UsageError(f"weight: {list(weight.shape)} given; [out, in] allowed")
        super().__init__(weight, bias, mask, Geometry())
        self.out_features, self.in_features = weight.shape

    @classmethod
    def from_dense(cls, linear: nn.Linear, mask: Tensor | None = None) -> Self:
        """Return the sparse layer of a dense one's nonzero weights, or of those of a mask."""
        layer = cls(linear.weight, linear.bias, mask)
        return layer.train(linear.training)

    def to_dense(self) -> nn.Linear:
        """Return the dense layer that computes the same."""
        weight = self.dense_weight()
        with torch.device("meta"):
            linear = nn.Linear(self.in_features, self.out_features, self.bias is not None)
        linear.weight = nn.Parameter(weight.detach())
        if self.bias is not None:
            linear.bias = nn.Parameter(self.bias.detach().clone())
        return linear.train(self.training)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output, `[..., out_features]`. Raises UsageError."""
        if x.ndim < 1 or x.shape[-1] != self.in_features:
            raise UsageError(f"input: {list(x.shape)} given; [..., {self.in_features}] allowed")
        y = self._product(self.in_own_type(x.reshape(-1, self.in_features)))
        return y.reshape(*x.shape[:-1], self.out_features)
