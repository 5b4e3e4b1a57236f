"""Small networks of generated weights, with batch norms that are not the identity."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from problems.CIFAR10.DenseNet.network import DenseNet
from problems.CIFAR10.MobileNetV2.network import MobileNetV2
from problems.CIFAR10.MobileNetV3.network import MobileNetV3
from problems.CIFAR10.ResNet.network import ResNet
from problems.CIFAR10.VGG.network import VGG
from problems.MNIST.LeNet.network import LeNet
from quantlab.generation import convert

TOPOLOGIES: Mapping[str, tuple[Any, tuple[int, int, int]]] = {
    "ResNet": (lambda: ResNet(8, width=6), (3, 8, 8)),
    "VGG": (lambda: VGG(11, width=8), (3, 32, 32)),
    "DenseNet": (lambda: DenseNet(10, growth=6), (3, 12, 12)),
    "MobileNetV2": (lambda: MobileNetV2(width=0.25), (3, 8, 8)),
    "MobileNetV3": (lambda: MobileNetV3(width=0.35), (3, 16, 16)),
    "LeNet": (LeNet, (1, 28, 28)),
}


def generated(name: str) -> tuple[nn.Module, torch.Tensor]:
    """Return a network and a batch."""
    make, shape = TOPOLOGIES[name]
    network = with_norms(make())
    convert(network, {"base_in": 2, "base_out": 3})
    return network.eval(), torch.randn(3, *shape)


def with_norms(network: nn.Module) -> nn.Module:
    """Give the batch norms of a network statistics, factors and offsets."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, -1.5, 1.5)
            nn.init.normal_(module.bias)
    return network
