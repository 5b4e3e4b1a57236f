"""The networks of the rivals, as an experiment names them: in the place of a topology's
network.py."""

from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.generation.forms import form, resnet18
from benchmarks.generation.rivals.rated import RatedCrossEntropy
from problems.CIFAR10.ResNet.network import ResNet
from quantlab.errors import UsageError

__all__ = ["FrozenCoefficients", "RatedCrossEntropy", "ResNet", "Rival"]


class Rival(nn.Module):
    """A network of a family of `forms`.

    dense: a checkpoint of the dense network, which families that are made of one begin with.
    """

    def __init__(self, name: str, size: float = 0.0, dense: str | None = None) -> None:
        super().__init__()
        family, whole = form(name), resnet18()
        if family.from_dense and dense is not None:
            saved = torch.load(Path(dense), map_location="cpu", weights_only=True)
            whole.load_state_dict(saved["network"])
        self.network = family.build(whole, size)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return the scores `[N, 10]`."""
        scores: Tensor = self.network(x_NCHW)
        return scores


class FrozenCoefficients(nn.CrossEntropyLoss):
    """Cross entropy of a network whose coefficients stay as they began, as in MLG's released code,
    whose optimizer is made before them."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        coefficients = [
            parameter
            for name, parameter in network.named_parameters()
            if name.rpartition(".")[2] in ("coeff_in", "coeff_out")
        ]
        if not coefficients:
            raise UsageError("network: no generated layers given, at least one allowed")
        for parameter in coefficients:
            parameter.requires_grad_(False)
