"""The quantizers whose grid starts from a range: that of a weight, or one observed."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from quantlab.algorithms.observers import Observer
from quantlab.algorithms.weight_range import WeightRange, weight_range
from quantlab.controller import Reducer
from quantlab.numerics.granularity import reduced_axes
from quantlab.quantizer import Quantizer, QuantSpec


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What a RangedQuantizer is made of.

    shape: of the weight; () for inputs and outputs.
    source: the observer of an input or output, or how the range of a weight is found.
    is_sign_found: the codes are signed if the observed range has negative numbers, else unsigned;
        otherwise they are as in `spec`.
    """

    spec: QuantSpec
    shape: Sequence[int]
    source: Observer | WeightRange
    is_sign_found: bool


class RangedQuantizer(Quantizer):
    """Base of the quantizers whose grid starts from a range."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup.spec, setup.shape)
        source = setup.source
        self.observer = source if isinstance(source, Observer) else None
        self._weight_range: WeightRange = "max" if isinstance(source, Observer) else source
        split = setup.spec.granularity.split_shape(setup.shape)
        self._reduced_axes = reduced_axes(split, self.scale_shape)
        self._is_sign_found = setup.is_sign_found

    def observe(self, x: Tensor) -> None:
        if self.observer is not None:
            self.observer(x)
            return
        end = weight_range(
            self.split(x),
            self._weight_range,
            reduced_axes=self._reduced_axes,
            keepdim=bool(self.scale_shape),
            quant_min=self.quant_min,
            quant_max=self.quant_max,
        )
        with torch.no_grad():
            self.take_range(-end, end)

    def start(self, minimum: Tensor, maximum: Tensor, communicator: Reducer) -> None:
        """Quantize from now on, with what has been observed. Waits for the device.

        minimum, maximum: the range merged over all ranks; the observer may choose a narrower one.
        """
        assert self.observer is not None
        if self._is_sign_found:
            self.set_signed(bool(minimum < 0))
        low, high = self.observer.range_for(self.spec, minimum, maximum, communicator)
        with torch.no_grad():
            self.take_range(low, high)
        self.set_observing(False)
        self.set_enabled(True)

    @abstractmethod
    def take_range(self, minimum: Tensor, maximum: Tensor) -> None:
        """Set the grid from a range, without gradient. Must not wait for the device.

        minimum, maximum: of `scale_shape`, at most and at least 0.
        """
