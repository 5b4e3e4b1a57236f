"""Networks of ImageNet against torchvision's: names, shapes and values."""

from functools import cache
from types import ModuleType

import pytest
import torch
from torch import nn

from problems.ImageNet.AlexNet.network import AlexNet
from problems.ImageNet.MobileNetV2.network import MobileNetV2
from problems.ImageNet.ResNet.network import ResNet
from quantlab.errors import UsageError


@cache
def models() -> ModuleType:
    from quantlab.vision import torchvision

    module: ModuleType = torchvision.models
    return module


def ours(name: str) -> nn.Module:
    match name:
        case "resnet18" | "resnet34" | "resnet50":
            return ResNet(depth=int(name.removeprefix("resnet")))
        case "mobilenet_v2":
            return MobileNetV2()
        case _:
            return AlexNet()


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "mobilenet_v2", "alexnet"])
def test_checkpoints_of_torchvision_load_and_compute_the_same(name: str) -> None:
    # Without memory for weights first: only names and shapes are compared.
    with torch.device("meta"):
        expected = {
            key: value.shape for key, value in models().get_model(name).state_dict().items()
        }
        found = {key: value.shape for key, value in ours(name).state_dict().items()}
    assert list(found) == list(expected)
    assert found == expected


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "mobilenet_v2", "alexnet"])
def test_outputs_are_those_of_torchvision(name: str) -> None:
    torch.manual_seed(0)
    theirs, network = models().get_model(name).eval(), ours(name).eval()
    network.load_state_dict(theirs.state_dict())
    x_NCHW = torch.randn(1, 3, 224, 224)
    with torch.inference_mode():
        assert torch.equal(network(x_NCHW), theirs(x_NCHW))


@pytest.mark.parametrize("width", [0.35, 0.5, 0.75, 1.4])
def test_widths_of_mobilenet(width: float) -> None:
    with torch.device("meta"):
        expected = models().mobilenet_v2(width_mult=width).state_dict()
        found = MobileNetV2(width=width).state_dict()
    assert {k: v.shape for k, v in found.items()} == {k: v.shape for k, v in expected.items()}


def test_unknown_depth() -> None:
    with pytest.raises(UsageError, match="depth 19; allowed: 18, 34, 50"):
        ResNet(depth=19)
