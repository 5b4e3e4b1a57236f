"""A stage of building a network."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from quantlab.controller import Controller

Built = tuple[nn.Module, list[Controller]]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What one section of the configuration makes of a network.

    section: its name. is_asked: whether the section asks for anything. apply: returns the network,
    changed in place or another, and what works on it while it is trained. is_sparse, is_generated:
    it keeps weights of pruned layers, of generated ones, as they are stored. excludes: sections
    that may not ask beside it, and what of them the error names.
    """

    section: str
    is_asked: Callable[[Any], bool]
    apply: Callable[[nn.Module, Any], Built]
    is_sparse: bool = False
    is_generated: bool = False
    excludes: Mapping[str, str] = field(default_factory=dict)
