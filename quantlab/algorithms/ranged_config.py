"""The settings that algorithms share whose grid starts from a range.

Codes of weights are signed. Those of inputs and outputs are signed if the observed range has
negative numbers. When they start, see `start`.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Self

from pydantic import Field, model_validator
from torch import Tensor

from quantlab.algorithms.algorithm import AlgorithmConfig, GranularityField
from quantlab.algorithms.layers import Target
from quantlab.algorithms.observers import ObserverKind, make_observer
from quantlab.algorithms.ranged_quantizer import RangedQuantizer, Setup
from quantlab.algorithms.site import Site
from quantlab.algorithms.start import StartController
from quantlab.algorithms.weight_range import WeightRange
from quantlab.controller import Controller
from quantlab.errors import UsageError
from quantlab.numerics.granularity import PerAxis, PerTensor
from quantlab.numerics.ranges import MAX_BITS
from quantlab.quantizer import Quantizer, QuantSpec

DEFAULT_PERCENTILE = 99.9
DEFAULT_OBSERVE_STEPS = 100


class RangedConfig(AlgorithmConfig):
    """The settings of an algorithm whose grid starts from a range.

    num_bits: of a code; 1 bit only for unsigned inputs and outputs.
    granularity: of weights, None for a scale of each output, per_axis:0 (of transposed convolutions
        per_axis:1); inputs and outputs are always per_tensor.
    weight_range: of weights, see `weight_range`; None for the algorithm's own choice.
    signed: of inputs and outputs; None: found from the observed range.
    symmetric: of inputs and outputs; False gives them a zero point of their own.
    observer: of inputs and outputs, see `observers`; None for the algorithm's own choice.
    percentile: of the observer of that name; None: 99.9.
    start_epoch: float before.
    observe_steps: of inputs and outputs with start_epoch 0; None: 100.
    """

    num_bits: int = Field(ge=1, le=MAX_BITS)
    granularity: GranularityField | None = None
    weight_range: WeightRange | None = None
    signed: bool | None = None
    symmetric: bool = True
    observer: ObserverKind | None = None
    percentile: float | None = Field(default=None, gt=50, le=100)
    start_epoch: int = Field(default=1, ge=0)
    observe_steps: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _check_settings(self) -> Self:
        if self.percentile is not None and self.observer != "percentile":
            raise UsageError("percentile: has no effect without observer 'percentile'")
        if self.observe_steps is not None and self.start_epoch > 0:
            raise UsageError(
                f"observe_steps: has no effect with start_epoch {self.start_epoch}, only with 0"
            )
        return self

    @property
    def is_narrow(self) -> bool:
        """Whether the codes of weights leave out the lowest."""
        return True

    @property
    def default_weight_range(self) -> WeightRange:
        return "max"

    @property
    def default_observer(self) -> ObserverKind:
        return "moving_average"

    @abstractmethod
    def new(self, setup: Setup) -> RangedQuantizer:
        """Return a new quantizer."""

    def check(self, on: Target) -> None:
        if on == "weight":
            unused = {
                "signed": self.signed,
                "observer": self.observer,
                "observe_steps": self.observe_steps,
                "symmetric": None if self.symmetric else False,
            }
            for name, value in unused.items():
                if value is not None:
                    raise UsageError(f"{name}: {value!r} has no effect on a weight")
        elif self.weight_range is not None:
            raise UsageError(f"weight_range: '{self.weight_range}' has no effect on an {on}")
        elif self.granularity not in (None, PerTensor()):
            raise UsageError(
                f"granularity: '{self.granularity}' given for an {on}, 'per_tensor' allowed"
            )
        if self.num_bits == 1 and self.signed is not False:
            raise UsageError(
                "num_bits: 1 given, at least 2 allowed but for unsigned inputs and outputs "
                "(signed: false)"
            )

    def quantizer(self, on: Target, weight: Tensor, *, output_axis: int = 0) -> Quantizer:
        if on == "weight":
            spec = QuantSpec(
                num_bits=self.num_bits,
                signed=True,
                narrow=self.is_narrow,
                granularity=self.granularity or PerAxis(output_axis),
            )
            setup = Setup(
                spec=spec,
                shape=tuple(weight.shape),
                source=self.weight_range or self.default_weight_range,
                is_sign_found=False,
            )
            quantizer = self.new(setup).to(weight.device)
            quantizer.observe(weight)
            return quantizer
        spec = QuantSpec(num_bits=self.num_bits, signed=bool(self.signed), symmetric=self.symmetric)
        observer = make_observer(
            self.observer or self.default_observer, self.percentile or DEFAULT_PERCENTILE
        )
        # With a zero point of its own, a range is covered whatever the sign of its codes.
        is_sign_found = self.signed is None and self.symmetric
        return self.new(Setup(spec=spec, shape=(), source=observer, is_sign_found=is_sign_found))

    def controller(self, sites: Sequence[Site[Quantizer]]) -> Controller:
        return StartController(
            self.kind,
            sites,
            start_epoch=self.start_epoch,
            observe_steps=self.observe_steps or DEFAULT_OBSERVE_STEPS,
        )
