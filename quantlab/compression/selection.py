"""What a way to choose weights gives, and what it is asked."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from quantlab.compression.byte_curve import ByteCurve
from quantlab.compression.importance import Importance
from quantlab.compression.layers import Layer


@dataclass(frozen=True, kw_only=True)
class Selection:
    """masks: which weights are kept, by layer. bits: of the weights of a layer."""

    masks: Mapping[str, Tensor]
    bits: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Present:
    """A network at this moment.

    weights: by layer, of those that are removed what they were before. counts: how many are kept.
    curves: the bytes of each layer that can be pruned.
    """

    layers: Mapping[str, Layer]
    weights: Mapping[str, Tensor]
    counts: Mapping[str, int]
    curves: Mapping[str, ByteCurve]
    importance: Importance
    weight_bits: tuple[int, ...]


class Selector(ABC):
    """Chooses which weights are kept within a number of bytes."""

    @abstractmethod
    def select(self, present: Present, nbytes: float) -> Selection:
        """Return the weights that are kept: at most so many bytes of all layers, as far as the rule
        allows."""

    @abstractmethod
    def observe(self, accuracy: float) -> None:
        """Take the accuracy on validation samples after an epoch, in percent."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return all that `load_state_dict` needs."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""


def least_kept(layer: Layer) -> int:
    """Return how many weights a layer keeps at least: one for every fourth output."""
    return max(layer.weight.shape[0] // 4, 1)


def ranking(scores: Tensor, weight: Tensor) -> Tensor:
    """Return the places of the weights that are not zero, the highest scores first; of equal ones
    those that come first."""
    flat = scores.flatten().masked_fill(weight.flatten() == 0, -torch.inf)
    order = torch.argsort(flat, descending=True, stable=True)
    return order[: int((weight != 0).sum())]


def mask_of(order: Tensor, count: int, weight: Tensor) -> Tensor:
    """Return the mask of the first weights of a ranking."""
    mask = torch.zeros(weight.numel(), dtype=torch.bool, device=weight.device)
    mask[order[:count]] = True
    return mask.reshape(weight.shape)
