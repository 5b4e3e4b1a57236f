"""ResNet-8, in the size that MLPerf Tiny has (C. Banbury et al., "MLPerf Tiny benchmark", 2021):
of `depth: 8`, with 16, 32 and 64 channels in three blocks."""

from problems.CIFAR10.ResNet.network import ResNet

__all__ = ["ResNet"]
