"""Layer separation: low-rank forms of layers, kept only where the planned memory falls.

With one layer after the other in place of one, in theory `max(in + R1, R1 + R2, R2 + out)` elements
lie in memory at one time rather than `in + out`. What is planned may differ: results are written
over what is read for the last time, and other layers may need more. So the plan decides.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from torch import Tensor, nn

from quantlab.compression.cost import Cost, CostFunction
from quantlab.compression.factorized import Factorized
from quantlab.compression.forms import LOW_RANK, Form
from quantlab.compression.layers import Layer
from quantlab.compression.search import search
from quantlab.compression.trying import Aim, Loss


class Ram(Aim):
    """Fewer bytes of RAM, of the layers with the largest tensors first."""

    unit = "RAM"
    forms: ClassVar[Mapping[str, Form]] = LOW_RANK
    is_peak = True

    def figure(self, cost: Cost) -> int:
        """See `Aim`."""
        return cost.ram

    def priority(self, layer: Layer, sizes: Sequence[int]) -> int:
        """See `Aim`."""
        return sum(sizes)


def separate(
    network: nn.Module,
    samples: Tensor,
    *,
    cost: CostFunction,
    names: Sequence[str] | None = None,
    tolerance: float = 0.01,
    loss: Loss | None = None,
) -> Factorized:
    """Return a copy of a trained float network in which layers have low-rank forms, where that
    lowers its planned RAM.

    Each layer is tried alone, then several at once, since those that need as much as one another
    lower the RAM only together.

    Arguments and errors as of `factorize`; flash may rise, and the rows say by how much. Their
    `ideal_before` and `ideal_after` are what theory asks for, `before.ram` and `after.ram` what was
    planned.
    """
    return search(network, samples, Ram(), cost=cost, names=names, tolerance=tolerance, loss=loss)
