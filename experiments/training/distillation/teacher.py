"""A network that is learned from, and stays as it is."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from experiments.protocols import Preprocess


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """A network in evaluation mode, whose parameters need no gradient.

    origin: what its weights are of, for people. weights_sha256: of its state as it was stored, see
    `quantlab.numerics.digest`. preprocess: of its topology. changed_code: the files that differ
    from those with which its run was trained.
    """

    network: nn.Module
    origin: str
    weights_sha256: str
    preprocess: Preprocess
    changed_code: Sequence[str] = ()

    def __str__(self) -> str:
        changed = ", ".join(self.changed_code)
        return f"{self.origin} (its code has changed: {changed})" if changed else self.origin

    @torch.no_grad()
    def scores(self, inputs: Tensor) -> Tensor:
        """Return the scores `[N, K, ...]` of a batch as the student gets it."""
        scores: Tensor = self.network(inputs)
        return scores
