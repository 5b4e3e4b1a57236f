"""Convolutions and fully connected layers, with the codes that are made of their sums."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from quantlab import backend
from quantlab.backend import Codes, CodesRule, PackedBits, PackedWeights
from quantlab.integer.fast.geometry import geometry_of, weights_of
from quantlab.integer.fast.layout import Integers, new, packed, plain
from quantlab.integer.fast.padded import SIGN, SLACK, PaddedInput
from quantlab.integer.fast.step import Step, Tensors
from quantlab.integer.layout.choice import num_channels
from quantlab.integer.operations import Convolution, Linear
from quantlab.integer.tensor_type import S8, S16, TensorType


@dataclass(frozen=True, kw_only=True, eq=False)
class Made:
    """Codes that are made of a layer's sums, or of the codes of another one that was made so.

    other: the tensor that is added, if there is one. source: the place of the other one.
    """

    rule: CodesRule
    other: str | None
    source: int | None
    output: str
    kind: TensorType


class Multiplier(Protocol):
    """What computes a layer's sums on kernels."""

    def __call__(
        self,
        x: Integers,
        sums: NDArray[np.int32] | None,
        codes: Sequence[Codes],
        num_threads: int | None,
    ) -> None:
        """Write the sums and codes of a batch, which has no gaps."""


class Product(Step):
    """Sums of products, kept where something else reads them, and the codes made of them."""

    def __init__(
        self,
        operation: Convolution | Linear,
        result: TensorType,
        made: Sequence[Made],
        multiply: Multiplier,
        *,
        is_read: bool,
    ) -> None:
        (self._source,) = operation.inputs
        self.inputs = (self._source, *(one.other for one in made if one.other))
        self.multiply = multiply
        self._sums, self._result, self._is_read = operation.output, result, is_read
        self._made = tuple(made)
        self._is_image = isinstance(operation, Convolution)

    def run(self, tensors: Tensors, *, keep: bool, num_threads: int | None) -> Tensors:
        x = tensors[self._source]
        found: Tensors = {}
        sums = None
        if keep or self._is_read:
            sums, found[self._sums] = self._new_sums(len(x))
        codes: list[Codes] = []
        for one in self._made:
            memory, found[one.output] = new(len(x), one.kind.shape, one.kind.kind.dtype)
            other = None if one.other is None else packed(tensors[one.other])
            if one.source is None:
                codes.append((one.rule, other, memory))
            else:
                codes.append((one.rule, other, memory, one.source))
        self.multiply(packed(x) if self._is_image else plain(x), sums, codes, num_threads)
        return found

    def _new_sums(self, count: int) -> tuple[Integers, Integers]:
        if self._is_image:
            return new(count, self._result.shape, np.int32)
        memory = np.empty((count, *self._result.shape), np.int32)
        return memory, memory


class Bytes:
    """Multiplies bytes or words by bytes."""

    def __init__(self, operation: Convolution | Linear, given: TensorType) -> None:
        is_words, is_shifted = given.kind == S16, given.kind == S8
        self._geometry = geometry_of(operation, given)
        self._input = PaddedInput(
            self._geometry,
            np.int16 if is_words else np.uint8,
            is_shifted=is_shifted,
            may_read_on=self._geometry.span % SLACK != 0,
        )
        weights, bias = weights_of(operation), operation.bias.astype(np.int64)
        if is_shifted:
            bias = bias - SIGN * weights.sum(1, dtype=np.int64)
        self._weights = PackedWeights(
            weights,
            bias.astype(np.int32),  # wraps around as the sums do
            self._geometry.num_groups,
            len(self._geometry.spans),
            is_words,
        )

    def __call__(
        self,
        x: Integers,
        sums: NDArray[np.int32] | None,
        codes: Sequence[Codes],
        num_threads: int | None,
    ) -> None:
        flat, places = self._input.lay_out(x), self._geometry.places(len(x))
        backend.convolve(
            flat, places, self._weights, sums=sums, codes=codes, num_threads=num_threads
        )


class Bits:
    """Multiplies -1, 0 and 1 by -1, 0 and 1, 64 channels in a word."""

    def __init__(self, operation: Convolution | Linear, given: TensorType) -> None:
        self._channels = num_channels(operation, given)
        geometry = geometry_of(operation, given)
        self._num_numbers, self._geometry = geometry.size, geometry.in_words(self._channels)
        self._input = PaddedInput(geometry, np.int8, is_shifted=False, may_read_on=False)
        self._weights = PackedBits(
            weights_of(operation), operation.bias, len(geometry.spans), self._channels
        )

    def __call__(
        self,
        x: Integers,
        sums: NDArray[np.int32] | None,
        codes: Sequence[Codes],
        num_threads: int | None,
    ) -> None:
        flat, places = self._input.lay_out(x), self._geometry.places(len(x))
        planes = np.empty(2 * len(x) * self._geometry.size, np.uint64)
        numbers = flat[: len(x) * self._num_numbers]
        backend.pack_bits(numbers, planes, channels=self._channels, num_threads=num_threads)
        backend.convolve_bits(
            planes, places, self._weights, sums=sums, codes=codes, num_threads=num_threads
        )
