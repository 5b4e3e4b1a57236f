"""The networks of CIFAR10/MobileNetV2, of `num_classes: 100`."""

from problems.CIFAR10.MobileNetV2.network import MobileNetV2

__all__ = ["MobileNetV2"]
