"""Nonzero weights in Rice codes, as `runtime/rice.h` says and `runtime/sparse_rice.inc` reads them.

The encoding is `Rice` of `quantlab.formats.weights`, whose rows are the windows of all outputs: the
gaps of a patch, which has the inputs of four places, are in none of its codes. The weights of a
depthwise layer are one row, in the order of `runtime/depthwise.inc`: they are read into the arena
before the layer is made.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.kernels.dense import Dense
from quantlab.deploy.c.kernels.kernel import Factors, Kernel, Stored
from quantlab.deploy.c.kernels.patch import PATCH_CODE, PLACES, Steps, estimated, is_in_place, patch
from quantlab.formats.weights.encoding import MAX_COLUMNS
from quantlab.formats.weights.rice import Rice
from quantlab.integer.tensor_type import TensorType

READING = {"rice_begin": 104, "rice_row": 56, "rice_entries": 336}
"""The bytes of the files that read entries."""

UNPACKING = {**READING, "rice_unpack": 160}
"""Of those that read the weights of depthwise layers."""

UNPACKED_CODE = 175
"""The bytes of a function for depthwise layers, besides these."""

RICE = "rice"
_UNPACKED = 43  # instructions to read an entry
_READERS = frozenset(READING)


@dataclass(frozen=True)
class RiceKernel(Kernel):
    """Nearly as few bits as the entropy of the weights."""

    @property
    def encoding(self) -> str:
        return RICE

    @property
    def code_bytes(self) -> int:
        return 1780

    @property
    def shared_code(self) -> Mapping[str, int]:
        return {**PATCH_CODE, **READING}

    def obstacle(self, factors: Factors) -> str | None:
        size = factors.weight.size
        if not factors.is_depthwise or size <= MAX_COLUMNS:
            return None
        return f"it has {size:,} weights, at most {MAX_COLUMNS:,} allowed"

    def instructions(self, factors: Factors) -> float:
        num_outputs, num_entries = len(factors.weight), int(np.count_nonzero(factors.weight))
        if factors.is_depthwise:
            return Dense().instructions(factors) + _UNPACKED * num_entries
        at_once, single = Steps(span=190, entry=48.4), Steps(span=85, entry=_UNPACKED)
        return estimated(factors, num_outputs, num_entries, at_once, single)

    def nbytes(self, factors: Factors) -> int:
        return Rice().nbytes(_rows(factors))

    def store(self, factors: Factors) -> Stored:
        weights = Rice().encode(_rows(factors)).arrays["stream"].view(np.int8)
        if factors.is_depthwise:
            return _unpacked(factors, weights)
        return Stored(
            encoding=self.encoding,
            weights=weights,
            function=f"rice_{factors.kind}",
            runtime=_READERS | {"sparse_patch"},
            scratch=None if is_in_place(factors) else patch(factors),
            places_at_once=PLACES,
        )


def _unpacked(factors: Factors, weights: NDArray[np.int8]) -> Stored:
    """Return the weights of a depthwise layer, which are read into scratch behind its window."""
    size = -(-factors.weight.size // np.dtype(factors.kind.dtype).itemsize)
    window = factors.weight.size if factors.has_padding_codes else 0
    function = f"depthwise_{factors.kind}"
    return Stored(
        encoding=RICE,
        weights=weights,
        function=f"rice_{function}",
        runtime=_READERS | {"rice_unpack", function, "find_window", "fill_window"},
        scratch=TensorType((1, window + size), factors.kind),
    )


def _rows(factors: Factors) -> NDArray[np.int8]:
    """Return the weights `[O, K]`, in the order of a window; of a depthwise layer `[1, K O]`."""
    weight = factors.weight
    if factors.is_depthwise:
        weight = weight.transpose(3, 1, 2, 0)
    return np.ascontiguousarray(weight).reshape(len(weight), -1)
