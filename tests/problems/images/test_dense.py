"""Dense blocks against torchvision's: names, shapes and values."""

import pytest
import torch
from torch import nn

from problems.CIFAR10.DenseNet.network import DenseNet


def theirs(depth: int, growth: int) -> nn.Module:
    """Return torchvision's network with the stem of small images."""
    from quantlab.vision import torchvision

    blocks = {121: (6, 12, 24, 16), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32), 10: (1, 1, 1)}
    network: nn.Module = torchvision.models.DenseNet(growth, blocks[depth], 2 * growth, 4, 0.0, 10)
    features = network.features
    assert isinstance(features, nn.Sequential)
    features.conv0 = nn.Conv2d(3, 2 * growth, 3, padding=1, bias=False)
    for name in ("norm0", "relu0", "pool0"):
        setattr(features, name, nn.Identity())
    return network


@pytest.mark.parametrize("depth", [121, 169, 201])
def test_checkpoints_of_torchvision_load(depth: int) -> None:
    with torch.device("meta"):
        expected, found = theirs(depth, 32).state_dict(), DenseNet(depth).state_dict()
    assert [(k, v.shape) for k, v in found.items()] == [(k, v.shape) for k, v in expected.items()]


@pytest.mark.parametrize(("depth", "growth"), [(121, 4), (10, 12)])
def test_outputs_are_those_of_torchvision(depth: int, growth: int) -> None:
    expected_network, network = theirs(depth, growth).eval(), DenseNet(depth, growth=growth).eval()
    network.load_state_dict(expected_network.state_dict())
    x_NCHW = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        found, expected = network(x_NCHW), expected_network(x_NCHW)
    assert expected.std() > 1e-3
    torch.testing.assert_close(found, expected)
