"""The network's outputs as the meter takes them."""

from torch import Tensor


def postprocess(outputs: Tensor) -> Tensor:
    """Return the scores of the classes `[N, 10]`: the outputs as they are."""
    return outputs
