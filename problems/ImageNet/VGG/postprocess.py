"""The network's outputs are class scores, as the meter takes them."""

from problems.images.scores import postprocess

__all__ = ["postprocess"]
