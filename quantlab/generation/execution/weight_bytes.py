"""The bytes of a layer's weights."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class WeightBytes:
    """Of codes or floats, ratios and biases. held: in memory. read: by a run, whatever its batch,
    where each is read once and stays in the caches."""

    held: int
    read: int
