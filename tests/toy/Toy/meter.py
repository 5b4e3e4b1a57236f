"""Classification, as the images' meter counts it."""

from problems.images.meter import ClassificationMeter as Meter

__all__ = ["Meter"]
