"""What all sparse layers have: values, their pattern and plans."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from quantlab.autograd import uncompiled
from quantlab.errors import UsageError
from quantlab.sparse.arithmetic.arithmetic import Arithmetic
from quantlab.sparse.functional import sparse_product
from quantlab.sparse.geometry import Geometry
from quantlab.sparse.pattern import Pattern
from quantlab.sparse.plan import Plan, canonical
from quantlab.sparse.plans import Plans
from quantlab.sparse.watch import Seen


class SparseLayer(nn.Module, ABC):
    """A layer with the kept weights only: `weight` `[nnz]`; the state also has `indices` `[nnz]`.

    Gradients and optimizer states are as small as `weight`. Both tensors may be overwritten in
    place, as a broadcast does, in any order: the next use of the layer takes its pattern from
    `indices`, and refuses indices outside the dense weight or given twice. Of changes that torch
    does not count, `quantlab.sparse.watch` says which are seen. Raises UsageError.
    """

    indices: Tensor
    arithmetic: ClassVar[Arithmetic]  # of its products

    def __init__(
        self, weight: Tensor, bias: Tensor | None, mask: Tensor | None, geometry: Geometry
    ) -> None:
        super().__init__()
        _check_weight(weight)
        self._geometry = geometry
        kept = weight != 0 if mask is None else mask
        if kept.shape != weight.shape:
            raise UsageError(
                f"mask: {list(kept.shape)} given; {list(weight.shape)}, the weight's, allowed"
            )
        pattern = canonical(Pattern.of_mask(kept), geometry)
        self.weight = nn.Parameter(pattern.gather(weight.detach()))
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone())
        self.register_buffer("indices", None)
        self._use(pattern)

    @property
    def pattern(self) -> Pattern:
        """Which weights are kept, in the order of `weight`. Raises UsageError."""
        return self._current().pattern

    @property
    def sparsity(self) -> float:
        """The part of the dense weight that is not kept. Raises UsageError."""
        return self.pattern.sparsity

    def dense_weight(self) -> Tensor:
        """Return the dense weight, with zeros; gradients pass through. Raises UsageError."""
        return self.pattern.scatter(self.weight)

    @abstractmethod
    def to_dense(self) -> nn.Module:
        """Return the dense layer that computes the same."""

    @torch.no_grad()
    def update_mask(self, mask: Tensor, optimizer: Optimizer | None = None) -> None:
        """Keep the weights of a mask, `shape`, instead: those that are new begin as zeros.

        optimizer: its states of the kept weights (momentum, second moments) are carried along,
        those of new ones begin as zeros. Raises UsageError for a mask of another shape.
        """
        before, size = self.pattern, self.weight.shape
        shape = before.shape
        if tuple(mask.shape) != shape:
            raise UsageError(f"mask: {list(mask.shape)} given; {list(shape)} allowed")
        after = canonical(Pattern.of_mask(mask), self._geometry)

        def carried(values: Tensor) -> Tensor:
            return after.gather(before.scatter(values))

        states: Mapping[str, Any] = {} if optimizer is None else optimizer.state[self.weight]
        moved = {
            name: carried(value)
            for name, value in states.items()
            if isinstance(value, Tensor) and value.shape == size
        }
        if optimizer is not None:
            optimizer.state[self.weight].update(moved)
        gradient = self.weight.grad
        self.weight.data = carried(self.weight.data)
        self.weight.grad = None if gradient is None else carried(gradient)
        self._use(after)

    def extra_repr(self) -> str:
        """Return what printing shows."""
        return f"{list(self._plans.pattern.shape)}, sparsity={self._plans.pattern.sparsity:.4f}"

    def in_own_type(self, x: Tensor) -> Tensor:
        """Return an input in the weight's type under autocast, and else as it is."""
        return x.to(self.weight.dtype) if torch.is_autocast_enabled("cpu") else x

    def plan_for(self, x: Tensor) -> Plan:
        """Return the plan for an input, `[B, C, H, W]` or `[B, C]`. Raises UsageError."""
        for name, tensor in (("input", x), ("weight", self.weight)):
            if tensor.device.type != "cpu":
                raise UsageError(f"{name}: on {tensor.device}; sparse layers run on the CPU")
        if x.dtype != self.weight.dtype:
            raise UsageError(f"input: {x.dtype} given; {self.weight.dtype}, the weight's, allowed")
        return self._current().of(tuple(x.shape))

    def values(self) -> Tensor:
        """Return the weights in the order of the last plan."""
        order = self._plans.order
        return self.weight if order is None else self.weight[order]

    def _product(self, x: Tensor) -> Tensor:
        """Return the layer's output for `[B, C, H, W]` or `[B, C]`, of its own type."""
        plan = self.plan_for(x)
        return sparse_product(x, self.values(), self.bias, plan, self.arithmetic)

    def _use(self, pattern: Pattern) -> None:
        """Take a canonical pattern, and its indices into the state."""
        self._plans = self._plans_of(pattern, pattern)
        self.indices = torch.from_numpy(pattern.indices.copy())
        self._seen = Seen.of(self.indices)

    @uncompiled
    def _current(self) -> Plans:
        """Return the plans of the state's indices, new ones if these have changed. Raises
        UsageError."""
        indices, pattern = self.indices, self._plans.pattern
        if indices.shape != self.weight.shape:
            raise UsageError(
                f"indices: {list(indices.shape)} given; {list(self.weight.shape)}, one for each "
                "weight, allowed"
            )
        if indices.is_meta or (seen := Seen.of(indices)) == self._seen:
            return self._plans
        numbers = np.array(indices.detach().cpu().numpy())
        if numbers.dtype != np.int64 or not np.array_equal(numbers, pattern.indices):
            given = Pattern(pattern.shape, numbers)
            self._plans = self._plans_of(given, canonical(given, self._geometry))
        self._seen = seen
        return self._plans

    def _plans_of(self, pattern: Pattern, in_order: Pattern) -> Plans:
        return Plans(pattern, in_order, self._geometry, self.arithmetic.plane_type.itemsize)

    @torch.no_grad()
    def keep(self, indices: Tensor) -> None:
        """Keep the weights at these places of the flat dense weight instead, as zeros for now.

        Raises UsageError for places that are not there or given twice.
        """
        pattern = Pattern(self._plans.pattern.shape, np.asarray(indices.cpu().numpy()))
        self._use(canonical(pattern, self._geometry))
        if self.weight.shape != indices.shape:
            self.weight.data = self.weight.new_zeros(indices.shape)
            self.weight.grad = None

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        """Take the pattern of a state, whatever the number and order of its values."""
        indices, weight = state_dict.get(f"{prefix}indices"), state_dict.get(f"{prefix}weight")
        if isinstance(indices, Tensor) and isinstance(weight, Tensor):
            if weight.shape != indices.shape:
                raise UsageError(
                    f"{prefix}weight: {list(weight.shape)} given; {list(indices.shape)}, one for "
                    "each index, allowed"
                )
            self.keep(indices)
            kept = self._plans.pattern
            given = Pattern(kept.shape, np.asarray(indices.cpu().numpy()))
            order = torch.from_numpy(given.places_of(kept.indices))
            state_dict[f"{prefix}weight"] = weight[order.to(weight.device)]
            state_dict[f"{prefix}indices"] = indices[order.to(indices.device)]
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def _check_weight(weight: Tensor) -> None:
    if weight.dtype not in (torch.float32, torch.float64):
        raise UsageError(f"weight: {weight.dtype} given; float32 or float64 allowed")
    if not torch.isfinite(weight).all():
        raise UsageError("weight: has NaN or infinity; finite numbers allowed")
