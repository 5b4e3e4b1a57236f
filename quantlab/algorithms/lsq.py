"""LSQ: the step size of the grid is learned with the weights.

Forward, with the step size s, the codes [quant_min, quant_max] and rounding half up:

    y = s * floor(clamp(x / s, quant_min, quant_max) + 1/2)

Backward (S. Esser et al., Learned Step Size Quantization, 2020, arXiv:1902.08153, equations 3, 5):

    dy/dx = 1 inside the range, 0 elsewhere
    dy/ds = floor(x / s + 1/2) - x / s inside, quant_min below, quant_max above,
            summed over what shares s and multiplied by 1 / sqrt(N quant_max)

where N is the number of weights that share s, or of features of one sample (section 2.2).

With `symmetric: false` this is LSQ+ (Y. Bhalgat et al., 2020, arXiv:2004.09576): the offset of the
grid is learned too, with the gradients of `learned_grid`, and rounded so that zero has a code.

Step sizes start from the weights by their mean size (section 2.1), those of inputs and outputs from
the range with the least squared error over what was observed (LSQ+, section 3.2). They are not
decayed, and kept above MIN_SCALE.

A step size is far smaller than the weights. SGD moves it by its small gradient; Adam moves it by
the learning rate, whatever the gradient: at 0.01 a step size of 0.004 is lost within a few steps,
and its channel or layer with it. With Adam take 1e-3 or less. A run says which it lost.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from quantlab.algorithms.learned_grid import learned_grid
from quantlab.algorithms.observers import ObserverKind
from quantlab.algorithms.ranged_config import RangedConfig
from quantlab.algorithms.ranged_quantizer import RangedQuantizer, Setup
from quantlab.algorithms.weight_range import WeightRange
from quantlab.numerics.affine import range_scale_zero_point
from quantlab.numerics.rounding import round_half_up

MIN_SCALE = 2.0**-24


class LsqQuantizer(RangedQuantizer):
    """See the module. step_size, offset: learned, of `scale_shape`; no offset if symmetric."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.step_size = nn.Parameter(torch.ones(self.scale_shape))
        self.offset: nn.Parameter | None = None
        if not setup.spec.symmetric:
            self.offset = nn.Parameter(torch.zeros(self.scale_shape))

    @property
    def scale(self) -> Tensor:
        return self.step_size.clamp(min=MIN_SCALE)

    @property
    def zero_point(self) -> Tensor:
        if self.offset is None:
            return torch.zeros_like(self.step_size, dtype=torch.int32)
        steps = round_half_up((self.offset / self.scale).detach().neg_())
        return (self.quant_min + steps).clamp_(self.quant_min, self.quant_max).to(torch.int32)

    def take_range(self, minimum: Tensor, maximum: Tensor) -> None:
        scale, zero_point = range_scale_zero_point(
            minimum,
            maximum,
            quant_min=self.quant_min,
            quant_max=self.quant_max,
            symmetric=self.spec.symmetric,
        )
        self.step_size.copy_(scale)
        if self.offset is not None:
            self.offset.copy_((self.quant_min - zero_point) * scale)

    def fake_quantize(self, x: Tensor) -> Tensor:
        return learned_grid(
            x,
            self.step_size,
            self.offset,
            None if self.offset is None else self.zero_point,
            quant_min=self.quant_min,
            quant_max=self.quant_max,
            min_scale=MIN_SCALE,
            gradient_scale=self.gradient_scale(x),
        )

    def gradient_scale(self, x: Tensor) -> float:
        """Return 1 / sqrt(N quant_max); see the module."""
        num_sets = x.shape[0] if self.observer is not None else self.step_size.numel()
        return float((x.numel() / num_sets * self.quant_max) ** -0.5)


class LsqConfig(RangedConfig):
    """The settings of LSQ; see `RangedConfig`.

    narrow: leave out the lowest code of weights, as no paper does.
    symmetric: of inputs and outputs; False for LSQ+.
    weight_range: where step sizes start; None: mean.
    observer: None: mse.
    """

    kind: Literal["lsq"] = "lsq"
    narrow: bool = False

    @property
    def is_narrow(self) -> bool:
        return self.narrow

    @property
    def default_weight_range(self) -> WeightRange:
        return "mean"

    @property
    def default_observer(self) -> ObserverKind:
        return "mse"

    def new(self, setup: Setup) -> LsqQuantizer:
        return LsqQuantizer(setup)
