"""Networks of CIFAR-10 against published sizes."""

import pytest
import torch
from torch import nn

from problems.CIFAR10.DenseNet.network import DenseNet
from problems.CIFAR10.MobileNetV2.network import MobileNetV2
from problems.CIFAR10.MobileNetV3.network import MobileNetV3
from problems.CIFAR10.ResNet.network import ResNet
from problems.CIFAR10.VGG.network import VGG
from problems.ImageNet.MobileNetV2.network import MobileNetV2 as ImageNetMobileNetV2
from quantlab.errors import UsageError


def num_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)]
)
def test_resnet_has_the_size_of_the_paper(depth: int, millions: float) -> None:
    """He et al. 2015, table 6; with 1x1 shortcuts, which are 2,752 parameters more."""
    shortcuts = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
    digits = 1 if depth == 110 else 2
    assert round((num_parameters(ResNet(depth)) - shortcuts) / 1e6, digits) == millions


def test_resnet18_has_its_usual_size() -> None:
    assert num_parameters(ResNet(18)) == 11_173_962
    assert num_parameters(ResNet(18, fc_bias=False)) == 11_173_952


@pytest.mark.parametrize(("depth", "widths"), [(18, (5, 10, 20, 40)), (8, (5, 10, 20))])
def test_narrow_resnet(depth: int, widths: tuple[int, ...]) -> None:
    network = ResNet(depth, width=5)
    sizes = dict.fromkeys(m.out_channels for m in network.modules() if isinstance(m, nn.Conv2d))
    assert tuple(sizes) == widths
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize(
    ("depth", "growth", "size"),
    [(121, 32, 6_956_298), (100, 12, 769_162), (190, 40, 25_624_430)],
)
def test_densenet_has_its_usual_size(depth: int, growth: int, size: int) -> None:
    """The first without the last layer's bias has 6,956,288; Huang et al. 2016, table 2, say 0.8
    and 25.6 million of the others."""
    with torch.device("meta"):
        assert num_parameters(DenseNet(depth, growth=growth)) == size
        assert num_parameters(DenseNet(depth, growth=growth, fc_bias=False)) == size - 10


def test_densenet_ends_at_4_x_4_pixels() -> None:
    network = DenseNet(121, growth=2)
    x_NCHW = torch.zeros(2, 3, 32, 32)
    assert network.features(x_NCHW).shape == (2, 64, 4, 4)
    assert network(x_NCHW).shape == (2, 10)


def test_resnet8_has_the_weights_of_mlperf_tinys() -> None:
    """tests/benchmarks/test_torch_networks.py compares all layers with its file."""
    layers = [m for m in ResNet(8).modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert sum(layer.weight.numel() for layer in layers) == 77_360


@pytest.mark.parametrize(("depth", "num_layers"), [(18, 18), (20, 20), (56, 56)])
def test_depth_counts_the_layers(depth: int, num_layers: int) -> None:
    layers = [
        name
        for name, module in ResNet(depth).named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear) and "downsample" not in name
    ]
    assert len(layers) == num_layers


@pytest.mark.parametrize(
    ("depth", "size"), [(11, 9_225_600), (13, 9_410_112), (16, 14_719_816), (19, 20_029_128)]
)
def test_vgg_has_its_usual_size(depth: int, size: int) -> None:
    # Figures of networks whose convolutions have biases (which batch normalization makes useless).
    network = VGG(depth)
    biases = sum(m.out_channels for m in network.modules() if isinstance(m, nn.Conv2d))
    linear = 512 * 10 + 10
    batch_norm = 2 * biases
    convolutions = num_parameters(network) - linear - batch_norm
    kernels = sum(m.weight.numel() for m in network.modules() if isinstance(m, nn.Conv2d))
    assert convolutions == kernels
    assert round(num_parameters(network) / 1e6, 1) == round(size / 1e6, 1)


def test_narrow_vgg() -> None:
    network = VGG(11, width=8)
    assert num_parameters(network) < 160_000
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_mobilenet_has_the_size_of_imagenets_but_for_the_last_layer() -> None:
    network = MobileNetV2()
    assert num_parameters(network) == 3_504_872 - 1281 * (1000 - 10)
    with torch.device("meta"):
        theirs = ImageNetMobileNetV2().features.state_dict()
    found = network.features.state_dict()
    assert {k: v.shape for k, v in found.items()} == {k: v.shape for k, v in theirs.items()}


def test_mobilenet_ends_at_4_x_4_pixels() -> None:
    network = MobileNetV2(width=0.25)
    x_NCHW = torch.zeros(2, 3, 32, 32)
    assert network.features(x_NCHW).shape == (2, 1280, 4, 4)
    assert network(x_NCHW).shape == (2, 10)


@pytest.mark.parametrize("size", ["large", "small"])
def test_mobilenet_v3_ends_at_4_x_4_pixels(size: str) -> None:
    network = MobileNetV3(size, width=0.25).eval()
    x_NCHW = torch.zeros(2, 3, 32, 32)
    assert network.features(x_NCHW).shape[2:] == (4, 4)
    assert network(x_NCHW).shape == (2, 10)


def test_other_sizes_of_mobilenet_v3() -> None:
    with pytest.raises(UsageError, match="MobileNetV3: size 'medium'; allowed: large, small"):
        MobileNetV3("medium")
    with pytest.raises(UsageError, match="MobileNetV3: width 0; allowed: above 0"):
        MobileNetV3(width=0)


def test_unknown_depths() -> None:
    with pytest.raises(UsageError, match="DenseNet: depth 120; allowed: 121, 169, 201, and 6n"):
        DenseNet(120)
    with pytest.raises(UsageError, match="DenseNet: growth 0; allowed: 1 and above"):
        DenseNet(growth=0)
    with pytest.raises(UsageError, match="ResNet: width 0; allowed: 1 and above"):
        ResNet(18, width=0)
    with pytest.raises(UsageError, match="ResNet: depth 19; allowed: 18, and 6n"):
        ResNet(19)
    with pytest.raises(UsageError, match="VGG: depth 12; allowed: 11, 13, 16, 19"):
        VGG(12)
