"""A network without its dead filters."""

import copy

from torch import Tensor, nn

from quantlab.compression.dead_filters import remove_dead_filters


def without_dead_filters(network: nn.Module, samples: Tensor) -> nn.Module:
    """Return a copy on the CPU whose filters that make nothing are gone.

    samples: `[N, ...]` of its input.
    """
    return remove_dead_filters(copy.deepcopy(network).cpu(), samples[:2]).network
