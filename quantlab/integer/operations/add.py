"""Addition of two tensors of different scales."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from quantlab.integer.operations.rescale import Rescale


@dataclass(frozen=True, kw_only=True, eq=False)
class Add(Rescale):
    """clamp((left_multiplier * left + right_multiplier * right + offset) >> shift, low, high).

    Neither side is rounded before they are added; see `Rescale`. They broadcast.
    """

    multiplier_names: ClassVar[tuple[str, ...]] = ("left_multiplier", "right_multiplier")

    left_multiplier: NDArray[np.int32]
    right_multiplier: NDArray[np.int32]
