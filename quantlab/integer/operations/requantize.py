"""Requantization: one tensor to another scale."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from quantlab.integer.operations.rescale import Rescale


@dataclass(frozen=True, kw_only=True, eq=False)
class Requantize(Rescale):
    """clamp((multiplier * input + offset) >> shift, low, high); see `Rescale`.

    With one multiplier and offset for each channel it is a batch norm too.
    """

    multiplier_names: ClassVar[tuple[str, ...]] = ("multiplier",)

    multiplier: NDArray[np.int32]
