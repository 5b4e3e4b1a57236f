"""The metric of spoken digits: top-1 and top-5 in percent, mean loss, confusion of digits."""

from problems.images.meter import ClassificationMeter


class Meter(ClassificationMeter):
    """Predictions are scores `[N, 10]`."""
