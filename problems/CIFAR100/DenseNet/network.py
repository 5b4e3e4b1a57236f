"""The networks of CIFAR10/DenseNet, of `num_classes: 100`."""

from problems.CIFAR10.DenseNet.network import DenseNet

__all__ = ["DenseNet"]
