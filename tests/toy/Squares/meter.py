"""Mean average precision."""

from problems.boxes.meter import BoxMeter as Meter

__all__ = ["Meter"]
