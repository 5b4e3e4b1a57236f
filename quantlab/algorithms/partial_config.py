"""The settings that INQ and RPR share."""

from abc import abstractmethod
from collections.abc import Iterable
from typing import Self

from pydantic import model_validator
from torch import Tensor

from quantlab.algorithms.algorithm import AlgorithmConfig, GranularityField
from quantlab.algorithms.layers import Target, check_weight_only
from quantlab.algorithms.partial import LevelInit, PartialQuantizer, level_spec
from quantlab.algorithms.site import Site
from quantlab.errors import UsageError
from quantlab.numerics.granularity import PerTensor
from quantlab.numerics.levels import LevelKind, level_codes
from quantlab.quantizer import Quantizer
from quantlab.schedule import Schedule


class PartialConfig(AlgorithmConfig):
    """The settings of an algorithm that quantizes a growing part of the weights.

    num_levels: odd for a zero among them; 3 is ternary.
    fraction: a schedule by the epoch, rising from 0 to 1; of each layer's weights, how many are on
        the grid.
    granularity: which weights share a scale; None for per_tensor.
    """

    num_levels: int
    fraction: Schedule
    levels: LevelKind | None = None
    init: LevelInit | None = None
    granularity: GranularityField | None = None

    @property
    @abstractmethod
    def level_kind(self) -> LevelKind:
        """The levels, the algorithm's own choice if none is given."""

    @property
    @abstractmethod
    def level_init(self) -> LevelInit:
        """How the scale is found, the algorithm's own choice if none is given."""

    @property
    @abstractmethod
    def is_whole_in_eval(self) -> bool:
        """Whether in evaluation all weights are on the grid."""

    @model_validator(mode="after")
    def _check_settings(self) -> Self:
        level_codes(self.num_levels, self.level_kind)
        check_rising(self.fraction)
        return self

    def check(self, on: Target) -> None:
        check_weight_only(self.kind, on)

    def quantizer(self, on: Target, weight: Tensor, *, output_axis: int = 0) -> Quantizer:
        quantizer = PartialQuantizer(
            level_spec(self.num_levels, self.level_kind, self.granularity or PerTensor()),
            tuple(weight.shape),
            level_kind=self.level_kind,
            init=self.level_init,
            is_whole_in_eval=self.is_whole_in_eval,
        )
        quantizer.to(weight.device).observe(weight)
        return quantizer


def as_partial(site: Site[Quantizer]) -> Site[PartialQuantizer]:
    """Return a site as one of a PartialQuantizer, which it must be."""
    assert isinstance(site.quantizer, PartialQuantizer)
    return Site(name=site.name, on=site.on, layer=site.layer, quantizer=site.quantizer)


def share_at(schedule: Schedule, epoch: int) -> float:
    """Return the fraction of a schedule in an epoch. Raises UsageError unless it is one."""
    fraction = schedule(epoch)
    if not 0.0 <= fraction <= 1.0:
        raise UsageError(f"fraction: {fraction:g} in epoch {epoch}, 0 to 1 allowed")
    return fraction


def check_rising(fraction: Schedule) -> None:
    """Raise UsageError unless a schedule's values lie in 0 to 1 and do not fall where it says."""
    values = list(_values(fraction))
    if any(not 0.0 <= value <= 1.0 for value in values):
        raise UsageError(f"fraction: values {values} given, 0 to 1 allowed")
    if values != sorted(values):
        raise UsageError(f"fraction: values {values} given, rising ones allowed")


def _values(schedule: Schedule) -> Iterable[float]:
    if schedule.kind == "hand":
        return [schedule.values[time] for time in sorted(schedule.values)]
    if schedule.kind == "constant":
        return [schedule.value]
    return [schedule.initial, schedule.final]
