"""The metric of CIFAR-100: top-1 and top-5 in percent, mean loss, confusion of classes."""

from problems.images.meter import ClassificationMeter


class Meter(ClassificationMeter):
    """Predictions are scores `[N, 100]`."""
