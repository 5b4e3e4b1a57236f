"""Rows of nonzero weights of four bits, a byte each, as `runtime/sparse_nibbles.inc` reads them.

A row is one output, its columns are the elements of a patch: see `csr.py`. The encoding is
`Nibbles` of `quantlab.formats.weights`.
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
from quantlab.formats.weights.nibbles import Nibbles


@dataclass(frozen=True)
class NibblesKernel(Kernel):
    """A byte for each nonzero weight, with its distance to the one before."""

    @property
    def encoding(self) -> str:
        return "nibbles"

    @property
    def code_bytes(self) -> int:
        return 1150

    @property
    def shared_code(self) -> Mapping[str, int]:
        return PATCH_CODE

    def obstacle(self, factors: Factors) -> str | None:
        if factors.is_depthwise:
            return super().obstacle(factors)
        weight = factors.weight.reshape(len(factors.weight), -1)
        reason = Nibbles().obstacle(weight)
        return None if reason is None else f"weights: {reason}"

    def instructions(self, factors: Factors) -> float:
        num_outputs = len(factors.weight)
        num_entries = self.nbytes(factors) - num_outputs
        at_once, single = Steps(span=10, entry=16), Steps(span=5, entry=10)
        return estimated(factors, num_outputs, num_entries, at_once, single)

    def nbytes(self, factors: Factors) -> int:
        return Nibbles().nbytes(on_patch(factors))

    def store(self, factors: Factors) -> Stored:
        return Stored(
            encoding=self.encoding,
            weights=Nibbles().encode(on_patch(factors)).arrays["stream"].view(int8),
            function=f"nibbles_{factors.kind}",
            runtime=frozenset({"sparse_patch"}),
            scratch=None if is_in_place(factors) else patch(factors),
            places_at_once=PLACES,
        )
