"""The networks of CIFAR10/ResNet, of `num_classes: 100`."""

from problems.CIFAR10.ResNet.network import ResNet

__all__ = ["ResNet"]
