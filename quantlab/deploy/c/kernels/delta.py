"""Nonzero weights with gaps of four bits, as `runtime/sparse_delta.inc` reads them.

The encoding is `Delta4` of `quantlab.formats.weights`, whose rows are the spans of all outputs: a
row of the kernel, or one place of it where the kernel has gaps or groups.
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
    patch,
    spans,
)
from quantlab.formats.weights.delta4 import Delta4


@dataclass(frozen=True)
class DeltaKernel(Kernel):
    """Three bytes for two nonzero weights."""

    @property
    def encoding(self) -> str:
        return "delta4"

    @property
    def code_bytes(self) -> int:
        return 1500

    @property
    def shared_code(self) -> Mapping[str, int]:
        return PATCH_CODE

    def instructions(self, factors: Factors) -> float:
        num_spans = len(spans(factors))
        num_entries = (self.nbytes(factors) - num_spans) / 1.5
        at_once, single = Steps(span=55, entry=14), Steps(span=40, entry=7)
        return estimated(factors, num_spans, num_entries, at_once, single)

    def nbytes(self, factors: Factors) -> int:
        return Delta4().nbytes(spans(factors))

    def store(self, factors: Factors) -> Stored:
        return Stored(
            encoding=self.encoding,
            weights=Delta4().encode(spans(factors)).arrays["stream"].view(int8),
            function=f"delta4_{factors.kind}",
            runtime=frozenset({"sparse_patch"}),
            scratch=None if is_in_place(factors) else patch(factors),
            places_at_once=PLACES,
        )
