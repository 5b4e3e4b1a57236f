"""A bit for each weight that says whether it is zero, as `runtime/sparse_bitmap.inc` reads them.

The encoding is `Bitmap` of `quantlab.formats.weights`, whose rows are the spans of all outputs: a
row of the kernel, or one place of it where the kernel has gaps or groups. The nonzero weights of
eight elements stand behind their byte, so that both are read with one pointer.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.kernels.kernel import Factors, Kernel, Stored
from quantlab.deploy.c.kernels.patch import (
    PATCH_CODE,
    PLACES,
    Steps,
    estimated,
    is_in_place,
    patch,
    spans,
)
from quantlab.formats.weights.bitmap import Bitmap


@dataclass(frozen=True)
class BitmapKernel(Kernel):
    """A bit for each weight, a byte for each nonzero one."""

    @property
    def encoding(self) -> str:
        return "bitmap"

    @property
    def code_bytes(self) -> int:
        return 1390

    @property
    def shared_code(self) -> Mapping[str, int]:
        return PATCH_CODE

    def instructions(self, factors: Factors) -> float:
        num_entries = int(np.count_nonzero(factors.weight))
        at_once, single = Steps(span=45, entry=19), Steps(span=35, entry=11)
        return estimated(factors, len(spans(factors)), num_entries, at_once, single)

    def nbytes(self, factors: Factors) -> int:
        return Bitmap().nbytes(spans(factors))

    def store(self, factors: Factors) -> Stored:
        arrays = Bitmap().encode(spans(factors)).arrays
        return Stored(
            encoding=self.encoding,
            weights=_joined(arrays["bitmap"], arrays["values"]),
            function=f"bitmap_{factors.kind}",
            runtime=frozenset({"sparse_patch"}),
            scratch=None if is_in_place(factors) else patch(factors),
            places_at_once=PLACES,
        )


def _joined(bitmap: NDArray[np.uint8], values: NDArray[np.int8]) -> NDArray[np.int8]:
    """Return each byte of a bitmap, and behind it the values that it has bits for."""
    counts = np.bitwise_count(bitmap).astype(np.intp)
    found = np.empty(len(bitmap) + len(values), np.int8)
    is_value = np.ones(len(found), bool)
    is_value[np.arange(len(bitmap)) + np.cumsum(counts) - counts] = False
    found[~is_value] = bitmap.view(np.int8)
    found[is_value] = values
    return found
