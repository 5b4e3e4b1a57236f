"""MobileNetV3 against torchvision's: names, shapes and values."""

import pytest
import torch
from torch import nn

from problems.images.mobilenet_v3 import MobileNetV3Network


def theirs(size: str, width: float = 1.0) -> nn.Module:
    from quantlab.vision import torchvision

    network: nn.Module = torchvision.models.get_model(f"mobilenet_v3_{size}", width_mult=width)
    return network


@pytest.mark.parametrize(("size", "width"), [("large", 1.0), ("small", 1.0), ("small", 0.75)])
def test_checkpoints_of_torchvision_load(size: str, width: float) -> None:
    with torch.device("meta"):
        expected = theirs(size, width).state_dict()
        found = MobileNetV3Network(size, 1000, 3, width, 0.2).state_dict()
    assert [(k, v.shape) for k, v in found.items()] == [(k, v.shape) for k, v in expected.items()]


@pytest.mark.parametrize("size", ["large", "small"])
def test_outputs_are_those_of_torchvision(size: str) -> None:
    expected_network = theirs(size, 0.35).eval()
    network = MobileNetV3Network(size, 1000, 3, 0.35, 0.2).eval()
    weights = {
        key: torch.empty(value.shape).uniform_(0.95, 1.05)
        if value.dim() == 1 and value.is_floating_point()
        else 10 * value
        for key, value in expected_network.state_dict().items()
    }
    for one in (expected_network, network):
        one.load_state_dict(weights)
    x_NCHW = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        found, expected = network(x_NCHW), expected_network(x_NCHW)
    assert expected.std() > 1e-3
    assert torch.equal(found, expected)
