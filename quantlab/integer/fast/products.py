"""Convolutions and fully connected layers, with the codes that are made of their sums."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quantlab import backend
from quantlab.backend import Codes, CodesRule, PackedWeights
from quantlab.integer.fast.layout import new, packed
from quantlab.integer.fast.padded import SIGN, PaddedInput
from quantlab.integer.fast.step import Step, Tensors
from quantlab.integer.fast.windows import geometry_of, weights_of
from quantlab.integer.operations import Convolution, Linear
from quantlab.integer.tensor_type import S8, S16, TensorType


@dataclass(frozen=True, kw_only=True, eq=False)
class Made:
    """Codes that are made of a layer's sums. other: the tensor that is added, if there is one."""

    rule: CodesRule
    other: str | None
    output: str
    kind: TensorType


class Product(Step):
    """Sums of products, kept where something else reads them, and the codes made of them."""

    def __init__(
        self,
        operation: Convolution | Linear,
        given: TensorType,
        result: TensorType,
        made: Sequence[Made],
        *,
        is_read: bool,
    ) -> None:
        (self._source,) = operation.inputs
        self.inputs = (self._source, *(one.other for one in made if one.other))
        self._sums, self._result, self._is_read = operation.output, result, is_read
        self._made = tuple(made)
        geometry = geometry_of(operation, given)
        self._input = PaddedInput(geometry, given.kind)
        weights, bias = weights_of(operation), operation.bias.astype(np.int64)
        if given.kind == S8:
            bias = bias - SIGN * weights.sum(1, dtype=np.int64)
        self._weights = PackedWeights(
            weights,
            bias.astype(np.int32),  # wraps around as the sums do
            geometry.num_groups,
            len(geometry.spans),
            given.kind == S16,
        )

    def run(self, tensors: Tensors, *, keep: bool) -> Tensors:
        x = tensors[self._source]
        found: Tensors = {}
        sums = None
        if keep or self._is_read:
            sums, found[self._sums] = new(len(x), self._result.shape, np.int32)
        codes: list[Codes] = []
        for one in self._made:
            memory, found[one.output] = new(len(x), one.kind.shape, one.kind.kind.dtype)
            other = None if one.other is None else packed(tensors[one.other])
            codes.append((one.rule, other, memory))
        flat, places = self._input.lay_out(x)
        backend.convolve(flat, places, self._weights, sums=sums, codes=codes)
        return found
