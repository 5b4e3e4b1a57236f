"""The networks of CIFAR10/MobileNetV3, of `num_classes: 100`."""

from problems.CIFAR10.MobileNetV3.network import MobileNetV3

__all__ = ["MobileNetV3"]
