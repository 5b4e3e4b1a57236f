"""A network put in the place of another one."""

from torch import nn


def put_in_place(network: nn.Module, other: nn.Module) -> None:
    """Make a network the same as another one, whoever holds it: its class, modules and mode."""
    state = dict(vars(other))
    network.__class__ = other.__class__
    vars(network).clear()
    vars(network).update(state)
