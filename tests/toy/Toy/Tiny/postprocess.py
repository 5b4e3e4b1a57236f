"""The outputs are the scores."""

from torch import Tensor


def postprocess(outputs: Tensor) -> Tensor:
    """Return the scores `[N, 4]`."""
    return outputs
