"""Networks of ImageNet against torchvision's: names, shapes and values."""

from functools import cache
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from problems.ImageNet.AlexNet.network import AlexNet
from problems.ImageNet.MobileNetV2.network import MobileNetV2
from problems.ImageNet.ResNet.network import ResNet
from problems.ImageNet.VGG.network import VGG
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
        case "vgg11_bn" | "vgg16_bn":
            return VGG(depth=int(name.removeprefix("vgg").removesuffix("_bn")))
        case _:
            return AlexNet()


@pytest.mark.parametrize(
    "name",
    ["resnet18", "resnet34", "resnet50", "mobilenet_v2", "alexnet", "vgg11_bn", "vgg16_bn"],
)
def test_checkpoints_of_torchvision_load_and_compute_the_same(name: str) -> None:
    # Without memory for weights first: only names and shapes are compared.
    with torch.device("meta"):
        expected = {
            key: value.shape for key, value in models().get_model(name).state_dict().items()
        }
        found = {key: value.shape for key, value in ours(name).state_dict().items()}
    assert list(found) == list(expected)
    assert found == expected


def random_entry(like: Tensor) -> Tensor:
    """Return weights around 0, and scales, variances and biases around 1."""
    if not like.is_floating_point():
        return torch.zeros(like.shape, dtype=like.dtype)
    center = 1.0 if like.dim() == 1 else 0.0
    return torch.empty(like.shape).uniform_(center - 0.05, center + 0.05)


@pytest.mark.parametrize(
    "name",
    [
        *("resnet18", "resnet50", "mobilenet_v2", "alexnet"),
        pytest.param("vgg11_bn", marks=pytest.mark.long),
    ],
)
def test_outputs_are_those_of_torchvision(name: str) -> None:
    # Weights are made once and shared: initializing them twice would take longer than computing.
    with torch.device("meta"):
        theirs, network = models().get_model(name).eval(), ours(name).eval()
    torch.manual_seed(0)
    weights = {key: random_entry(value) for key, value in theirs.state_dict().items()}
    for one in (theirs, network):
        one.load_state_dict(weights, assign=True)
    x_NCHW = torch.randn(1, 3, 96, 96)
    with torch.inference_mode():
        found, expected = network(x_NCHW), theirs(x_NCHW)
    assert torch.isfinite(expected).all()
    assert expected.std() > 1e-3
    assert torch.equal(found, expected)


@pytest.mark.parametrize("width", [0.35, 0.5, 0.75, 1.4])
def test_widths_of_mobilenet(width: float) -> None:
    with torch.device("meta"):
        expected = models().mobilenet_v2(width_mult=width).state_dict()
        found = MobileNetV2(width=width).state_dict()
    assert {k: v.shape for k, v in found.items()} == {k: v.shape for k, v in expected.items()}


def test_unknown_depth() -> None:
    with pytest.raises(UsageError, match="depth 19; allowed: 18, 34, 50"):
        ResNet(depth=19)
    with pytest.raises(UsageError, match="depth 18; allowed: 11, 13, 16, 19"):
        VGG(depth=18)
