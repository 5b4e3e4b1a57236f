"""The plans of a pattern for the last shapes of inputs."""

from collections import OrderedDict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from quantlab.sparse.geometry import Geometry
from quantlab.sparse.kept_weights import KeptWeights
from quantlab.sparse.pattern import Pattern
from quantlab.sparse.plan import Plan, plan

_KEPT = 4  # of the last shapes: training, validation, the last batches of both


class Plans:
    """pattern: in the order of a layer's weights; order: of the weights in the plans, `[nnz]`, None
    if it is the pattern's own."""

    def __init__(
        self, pattern: Pattern, in_order: Pattern, geometry: Geometry, num_bytes: int
    ) -> None:
        """in_order: the canonical pattern of the same weights; num_bytes: of the inputs' numbers in
        the kernels."""
        self.pattern = pattern
        self.order: Tensor | None = None
        if not np.array_equal(in_order.indices, pattern.indices):
            self.order = torch.from_numpy(pattern.places_of(in_order.indices))
        self._in_order, self._geometry, self._num_bytes = in_order, geometry, num_bytes
        self._weights: KeptWeights | None = None  # made for the first plan
        self._of_shape: OrderedDict[tuple[int, ...], Plan] = OrderedDict()

    def of(self, shape: tuple[int, ...]) -> Plan:
        """Return the plan for inputs `[B, C, H, W]` or `[B, C]`. Raises UsageError."""
        found = self._of_shape.pop(shape, None)
        if found is None:
            self._weights = self._weights or KeptWeights.of(self._in_order, self._geometry)
            found = plan(
                self._in_order, self._geometry, shape, self._weights, num_bytes=self._num_bytes
            )
        self._of_shape[shape] = found
        if len(self._of_shape) > _KEPT:
            self._of_shape.popitem(last=False)
        return found

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without plans, which are made anew."""
        return {**self.__dict__, "_of_shape": OrderedDict(), "_weights": None}
