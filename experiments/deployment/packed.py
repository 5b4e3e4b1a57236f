"""A pack in the place of the network that it was made of."""

from pathlib import Path

import torch
from torch import Tensor, nn

from quantlab.errors import DataError
from quantlab.packs import Pack, load

FILE = "network.mlgpack"  # in the folder of what is deployed of a checkpoint


class PackedNetwork(nn.Module):
    """What a pack computes, on the CPU, as a network in evaluation."""

    def __init__(self, pack: Pack) -> None:
        super().__init__()
        self._pack = pack

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores of a batch."""
        return torch.from_numpy(self._pack.scores(x.float().cpu().numpy())).to(x)


def packed_network(folder: Path) -> PackedNetwork:
    """Return the network of the pack in a folder. Raises DataError, VerificationError."""
    if not (folder / FILE).exists():
        raise DataError(f"{folder / FILE}: not there; `main.py generate` writes it")
    return PackedNetwork(load(folder / FILE))
