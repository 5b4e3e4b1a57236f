"""Rows of blocks of four weights that are not all zero, as `runtime/sparse_blocks.inc` reads them.

As `csr.py`, but each entry is the number of a block of four columns, neighboring channels of one
place, and its weights. The encoding is `Csr8(4)` of `quantlab.formats.weights`: five bytes for each
block, and one for each 1,020 columns of a row.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from numpy import int8

from quantlab.deploy.c.kernels.kernel import Factors, Kernel, Stored
from quantlab.deploy.c.kernels.patch import (
    PATCH_CODE,
    PLACES,
    Steps,
    estimated,
    is_in_place,
    on_patch,
    patch,
)
from quantlab.formats.weights.csr8 import Csr8
from quantlab.integer.tensor_type import S16

_BLOCKS = Csr8(4)


@dataclass(frozen=True)
class BlocksKernel(Kernel):
    """Five bytes for each block of four weights."""

    @property
    def encoding(self) -> str:
        return "block4"

    @property
    def code_bytes(self) -> int:
        return 1480

    @property
    def shared_code(self) -> Mapping[str, int]:
        return PATCH_CODE

    def obstacle(self, factors: Factors) -> str | None:
        if factors.kind == S16:
            return "its inputs have 16 bits"
        if factors.is_depthwise:
            return super().obstacle(factors)
        channels = factors.weight.shape[3]
        if channels % _BLOCKS.size:
            return f"{channels} channels of a group are no multiple of {_BLOCKS.size}"
        return None

    def instructions(self, factors: Factors) -> float:
        num_entries = self.nbytes(factors) / (1 + _BLOCKS.size)
        at_once, single = Steps(span=36, entry=27), Steps(span=20, entry=13)
        return estimated(factors, len(factors.weight), num_entries, at_once, single)

    def nbytes(self, factors: Factors) -> int:
        return _BLOCKS.nbytes(on_patch(factors))

    def store(self, factors: Factors) -> Stored:
        return Stored(
            encoding=self.encoding,
            weights=_BLOCKS.encode(on_patch(factors)).arrays["stream"].view(int8),
            function=f"block4_{factors.kind}",
            runtime=frozenset({"sparse_patch"}),
            scratch=None if is_in_place(factors) else patch(factors),
            places_at_once=PLACES,
        )
