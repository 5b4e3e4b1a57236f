"""What all kernels have in common.

A kernel stores the weights of a layer as one array, and names the function of the runtime that
multiplies them. Its function has the type `ql_product_function` (`runtime/product.h`).

Shapes: O outputs, C channels of the input, G groups.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.integer.operations import Convolution, Linear, Windows
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import IntegerType, TensorType

A_PLACE = 290
"""Instructions that a Cortex-M4 takes for a place besides its products."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Factors:
    """A layer as its kernel sees it: a fully connected one has a window of one place.

    weight: `[O, kernel rows, kernel columns, C / G]`, the channels in the order in which the input
    lies. kind: of the input. program: of the layer, which has the bounds of its input.
    """

    layer: Convolution | Linear
    weight: NDArray[np.int8]
    kind: IntegerType
    program: Program

    @property
    def windows(self) -> Windows:
        """The windows of the layer."""
        if isinstance(self.layer, Convolution):
            return self.layer.windows
        return Windows(kernel=(1, 1))

    @property
    def groups(self) -> int:
        """G."""
        return self.layer.groups if isinstance(self.layer, Convolution) else 1

    @property
    def is_depthwise(self) -> bool:
        """Whether each output has one channel of its own."""
        is_convolution = isinstance(self.layer, Convolution)
        return is_convolution and self.groups == len(self.weight) and self.weight.shape[3] == 1

    @property
    def has_padding_codes(self) -> bool:
        """Whether elements beyond the border are not all zeros."""
        layer = self.layer
        if not isinstance(layer, Convolution) or not layer.windows.is_padded:
            return False
        return bool(layer.padding_codes.any())

    @property
    def num_places(self) -> tuple[int, int]:
        """The rows and columns of the result; all places of a fully connected layer are rows."""
        shape = self.program.types[self.layer.output].shape
        if isinstance(self.layer, Convolution):
            return shape[1], shape[2]
        return prod(shape[:-1]), 1

    @property
    def window(self) -> TensorType:
        """All elements of a window, those of all groups."""
        rows, columns = self.windows.kernel
        channels = self.weight.shape[3] * self.groups
        return TensorType((rows, columns * channels), self.kind)


@dataclass(frozen=True, kw_only=True, eq=False)
class Stored:
    """Weights as C stores them.

    encoding: its name. weights: flat, of any type of `text.C_TYPES`. function: of the runtime,
    without `ql_`. runtime: the other files that the function calls, without `.c`. scratch: the
    memory that the function needs beside input and result, None for none. is_gathered: whether all
    windows are copied there. is_of_places: whether each is the place that it makes. places_at_once:
    how many places, one behind the other, are made at once at most: they are written in any order,
    and all that they are made of is read until the last one is written. added: what the function
    leaves out of the sums of each output, a part of its bias then; None for nothing.
    """

    encoding: str
    weights: NDArray[Any]
    function: str
    runtime: frozenset[str] = frozenset()
    scratch: TensorType | None = None
    is_gathered: bool = False
    is_of_places: bool = False
    places_at_once: int = 1
    added: NDArray[np.int32] | None = None


class Kernel(ABC):
    """A way to store and multiply weights. The same factors give the same bytes."""

    @property
    @abstractmethod
    def encoding(self) -> str:
        """The name in the table of kernels, as in `quantlab.formats.weights` where it is there."""

    @property
    @abstractmethod
    def code_bytes(self) -> int:
        """The code of its function, in bytes on a Cortex-M3 with -O2, about."""

    @property
    def shared_code(self) -> Mapping[str, int]:
        """The part of `code_bytes` that functions of other kernels and for other types of inputs
        call too, by files of the runtime."""
        return {}

    def obstacle(self, factors: Factors) -> str | None:
        """Return why it cannot multiply the weights of a layer, None if it can: here, all but those
        of depthwise layers."""
        return "each of its outputs has one channel of its own" if factors.is_depthwise else None

    @abstractmethod
    def nbytes(self, factors: Factors) -> int:
        """Return the bytes of the weights of a layer that it can multiply."""

    def instructions(self, factors: Factors) -> float:
        """Return about how many instructions a Cortex-M4 takes for the products of a layer that it
        can multiply; here those of the dense kernel, with what a place and an output take besides.
        """
        num_places = prod(factors.num_places)
        of_weight = 1.45 if num_places == 1 else 1.1  # two places at once share each weight
        return num_places * (A_PLACE + 20 * len(factors.weight) + of_weight * factors.weight.size)

    @abstractmethod
    def store(self, factors: Factors) -> Stored:
        """Return the weights of a layer that it can multiply."""
