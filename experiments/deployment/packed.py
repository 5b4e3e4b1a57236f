"""A pack in the place of the network that it was made of."""

from pathlib import Path

import torch
from torch import Tensor, nn

from quantlab.errors import DataError, VerificationError
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


def packed_network(folder: Path, weights_sha256: str) -> PackedNetwork:
    """Return the network of the pack in a folder.

    weights_sha256: of the network that it stands for. Raises DataError where there is no pack,
    VerificationError for a damaged one and one of other weights.
    """
    path = folder / FILE
    if not path.exists():
        raise DataError(f"{path}: not there; `main.py generate` writes it")
    pack = load(path)
    if pack.made_from != weights_sha256:
        raise VerificationError(
            f"{path}: was made from other weights ({pack.made_from[:16] or 'unknown'}) than the "
            f"checkpoint's ({weights_sha256[:16]}); generate again"
        )
    return PackedNetwork(pack)
