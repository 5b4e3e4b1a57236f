"""A network that is learned from, and stays as it is."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from experiments.protocols import Preprocess


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """A network in evaluation mode, whose parameters need no gradient.

    origin: what its weights are of, for people. weights_sha256: of its state as it was stored, see
    `experiments.runs.digest`. preprocess: of its topology.
    """

    network: nn.Module
    origin: str
    weights_sha256: str
    preprocess: Preprocess

    @torch.no_grad()
    def scores(self, inputs: Tensor) -> Tensor:
        """Return the scores `[N, K, ...]` of a batch as the student gets it."""
        scores: Tensor = self.network(inputs)
        return scores
