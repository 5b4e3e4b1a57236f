"""DoReFa of the published code of MLG: weights keep the range of tanh(w).

Forward, with n = 2^num_bits - 1 (J. Gu et al., Towards memory-efficient neural networks via
multi-level in situ generation, 2021, arXiv:2108.11430):

    y = M (2 floor(n (tanh(w) / (2 M) + 1/2) + 1/2) / n - 1),  M = max|tanh(w)|
    y = mean|w| sign(w),  sign(0) = 1                            of 1 bit

The codes are the odd numbers from -n to n: zero is no level, and no number is above 1.

Backward, with M taken as constant:

    dy/dw = 1 - tanh(w)^2
    dy/dw = 1                                                    of 1 bit

M follows the weights in each training step.
"""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field
from torch import Tensor

from quantlab.algorithms.algorithm import AlgorithmConfig, GranularityField
from quantlab.algorithms.dorefa import MAX_BITS, weight_quantizer
from quantlab.algorithms.layers import Target, check_weight_only
from quantlab.algorithms.site import Site
from quantlab.algorithms.start import StartController
from quantlab.controller import Controller
from quantlab.numerics.granularity import PerTensor
from quantlab.quantizer import Quantizer


class DorefaSymConfig(AlgorithmConfig):
    """The settings of DoReFa as MLG has it.

    num_bits: of a code.
    granularity: which weights share M; None for per_tensor, as published.
    start_epoch: float before.
    """

    kind: Literal["dorefa_sym"] = "dorefa_sym"
    num_bits: int = Field(ge=1, le=MAX_BITS)
    granularity: GranularityField | None = None
    start_epoch: int = Field(default=1, ge=0)

    def check(self, on: Target) -> None:
        check_weight_only(self.kind, on)

    def quantizer(self, on: Target, weight: Tensor, *, output_axis: int = 0) -> Quantizer:
        return weight_quantizer(
            weight,
            num_bits=self.num_bits,
            granularity=self.granularity or PerTensor(),
            largest="squashed",
        )

    def controller(self, sites: Sequence[Site[Quantizer]]) -> Controller:
        return StartController(self.kind, sites, start_epoch=self.start_epoch)
