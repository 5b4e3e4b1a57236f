"""PACT: the ends of the range are learned, by what they clip.

Forward, with a learned upper end b and rounding half up:

    s = b / quant_max
    y = s * floor(clamp(x / s, quant_min, quant_max) + 1/2)

Backward (J. Choi et al., PACT, 2018, arXiv:1805.06085, equations 1 to 3):

    dy/dx = 1 inside the range, 0 elsewhere
    dy/db = 1 above, quant_min / quant_max below, 0 inside

so for unsigned codes dL/db is the sum of dL/dy over the numbers at least b.

With `symmetric: false` both ends a and b are learned (pulp-platform's quantlib):
s = (b - a) / (quant_max - quant_min), the grid is moved by less than half a step so that zero has
a code, and dy/da = 1 below, dy/db = 1 above.

Nothing pulls an end inwards but its decay, which is part of the algorithm: `clip_decay`, paper
section 3.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from quantlab.algorithms.learned_grid import learned_grid
from quantlab.algorithms.ranged_config import RangedConfig
from quantlab.algorithms.ranged_quantizer import RangedQuantizer, Setup
from quantlab.numerics.rounding import round_half_up

MIN_WIDTH = 2.0**-24


class PactQuantizer(RangedQuantizer):
    """See the module. high, low: learned, of `scale_shape`; no `low` if symmetric."""

    def __init__(self, setup: Setup, *, clip_decay: float) -> None:
        super().__init__(setup)
        self.high = nn.Parameter(torch.ones(self.scale_shape))
        self.low: nn.Parameter | None = None
        if not setup.spec.symmetric:
            self.low = nn.Parameter(torch.zeros(self.scale_shape))
        self.weight_decay = clip_decay

    @property
    def scale(self) -> Tensor:
        if self.low is None:
            return self.high.clamp(min=MIN_WIDTH) / self.quant_max
        return (self.high - self.low).clamp(min=MIN_WIDTH) / (self.quant_max - self.quant_min)

    @property
    def zero_point(self) -> Tensor:
        if self.low is None:
            return torch.zeros_like(self.high, dtype=torch.int32)
        steps = round_half_up((self.low / self.scale).detach().neg_())
        return (self.quant_min + steps).clamp_(self.quant_min, self.quant_max).to(torch.int32)

    def take_range(self, minimum: Tensor, maximum: Tensor) -> None:
        if self.low is not None:
            self.low.copy_(minimum)
        elif self.quant_min < 0:
            maximum = torch.maximum(maximum, minimum * (self.quant_max / self.quant_min))
        self.high.copy_(maximum)

    def fake_quantize(self, x: Tensor) -> Tensor:
        return learned_grid(
            x,
            self.scale,
            self.low,
            None if self.low is None else self.zero_point,
            quant_min=self.quant_min,
            quant_max=self.quant_max,
            is_clip_only=True,
        )


class PactConfig(RangedConfig):
    """The settings of PACT; see `RangedConfig`.

    symmetric: of inputs and outputs; False to learn both ends.
    clip_decay: the weight decay of the learned ends.
    weight_range: where the ends start; None: max.
    observer: None: moving_average.
    """

    kind: Literal["pact"] = "pact"
    clip_decay: float = Field(default=2e-4, ge=0)

    def new(self, setup: Setup) -> PactQuantizer:
        return PactQuantizer(setup, clip_decay=self.clip_decay)
