"""Float programs in torch against the packs' own arithmetic; 1 s."""

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.generation.torch_program import scores
from problems.CIFAR10.ResNet.network import ResNet
from quantlab.errors import UsageError
from quantlab.generation import convert
from quantlab.packs import Pack, make_pack

SHAPE = (2, 3, 12, 12)


def pack_of(network: nn.Module, shape: tuple[int, ...] = SHAPE) -> Pack:
    return make_pack(network.eval(), torch.rand(shape))


def test_residual_networks_have_the_scores_of_their_packs() -> None:
    network = ResNet(18, width=8)
    convert(network, {"base_in": 2, "base_out": 5})
    pack, x = pack_of(network), torch.randn(3, *SHAPE[1:])
    expected = pack.scores(x.numpy())
    np.testing.assert_allclose(scores(pack.program, x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.Sigmoid(), "function 'sigmoid' given, add, at_least allowed"),
        (nn.MaxPool2d(3, 1), "the largest of windows given, means allowed"),
        (nn.Softmax(1), "Softmax given, products, additions, rectifiers and means allowed"),
    ],
)
def test_what_it_does_not_know(layer: nn.Module, message: str) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), layer)
    pack = pack_of(network)
    with pytest.raises(UsageError, match=message):
        scores(pack.program, torch.rand(SHAPE))
