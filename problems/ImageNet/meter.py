"""The metric of ImageNet: top-1 and top-5 in percent, mean loss, confusion of classes."""

from problems.images.meter import ClassificationMeter


class Meter(ClassificationMeter):
    """Predictions are scores `[N, C]`, C the number of class folders (1,000 in the whole set)."""
