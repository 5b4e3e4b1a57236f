"""What the config of every algorithm can do."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema
from torch import Tensor

from quantlab.algorithms.layers import Target
from quantlab.algorithms.site import Site
from quantlab.controller import Controller
from quantlab.errors import UsageError
from quantlab.numerics.granularity import (
    Granularity,
    PerAxis,
    PerGroup,
    PerTensor,
    parse_granularity,
)
from quantlab.quantizer import Quantizer
from quantlab.settings import Settings


def _to_granularity(value: object) -> Granularity:
    if isinstance(value, PerTensor | PerAxis | PerGroup):
        return value
    if isinstance(value, str):
        return parse_granularity(value)
    raise UsageError(f"granularity: {value!r} given, a text such as 'per_axis:0' allowed")


# In a config a granularity is its text: 'per_tensor', 'per_axis:0', 'per_group:32'.
GranularityField = Annotated[
    Granularity,
    PlainValidator(_to_granularity),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": "^per_(tensor|axis(:-?[0-9]+)?|group:[0-9]+)$"}),
]


class AlgorithmConfig(Settings, ABC):
    """Base of the algorithms' configs; a subclass adds `kind: Literal[...]` and its settings."""

    kind: str

    @abstractmethod
    def check(self, on: Target) -> None:
        """Raise UsageError if a setting is impossible or without effect on such a tensor."""

    @abstractmethod
    def quantizer(self, on: Target, weight: Tensor, *, output_axis: int = 0) -> Quantizer:
        """Return a new quantizer for a tensor of the layer that has this weight.

        output_axis: of the weight, along which its outputs lie: one scale for each is per_axis of
            it.
        """

    @abstractmethod
    def controller(self, sites: Sequence[Site[Quantizer]]) -> Controller:
        """Return the controller of the quantizers made for one rule."""
