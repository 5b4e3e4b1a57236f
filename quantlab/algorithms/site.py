"""A site: one tensor of a network that a quantizer was put on."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from torch import nn

from quantlab.algorithms.layers import Target
from quantlab.quantizer import Quantizer

Q = TypeVar("Q", bound=Quantizer, covariant=True)


@dataclass(frozen=True, kw_only=True)
class Site(Generic[Q]):
    """Where a quantizer is. name: the quantizer's dotted name in the network."""

    name: str
    on: Target
    layer: nn.Module
    quantizer: Q

    @property
    def weight(self) -> nn.Parameter:
        """The weight of the layer, whatever the quantizer is on."""
        return self.layer.get_parameter("weight")
