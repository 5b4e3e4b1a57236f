"""Low-rank forms of layers, kept only where the bytes of a network fall."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from quantlab.compression.cost import Cost, CostFunction
from quantlab.compression.factorized import Factorized
from quantlab.compression.forms import LOW_RANK, Form, Removed
from quantlab.compression.layers import Layer
from quantlab.compression.search import search
from quantlab.compression.trying import Aim, Loss
from quantlab.errors import check_kind


@dataclass(frozen=True, kw_only=True)
class Flash(Aim):
    """Fewer bytes of flash, of the largest layers first. ram: the most bytes of RAM, where that is
    more than before; None for no limit."""

    ram: int | None

    unit = "flash"
    forms: ClassVar[Mapping[str, Form]] = {**LOW_RANK, "removed": Removed()}
    is_peak = False

    def figure(self, cost: Cost) -> int:
        """See `Aim`."""
        return cost.flash

    def problem(self, before: Cost, after: Cost) -> str:
        """See `Aim`."""
        if self.ram is not None and after.ram > max(self.ram, before.ram):
            return f"{after.ram:,} bytes of RAM, at most {self.ram:,} allowed"
        return super().problem(before, after)

    def priority(self, layer: Layer, sizes: Sequence[int]) -> int:
        """See `Aim`."""
        return layer.weight.numel()


def factorize(
    network: nn.Module,
    samples: Tensor,
    *,
    cost: CostFunction,
    names: Sequence[str] | None = None,
    ram: int | None = None,
    tolerance: float = 0.01,
    loss: Loss | None = None,
) -> Factorized:
    """Return a copy of a trained float network in which layers have low-rank forms, where that
    lowers its bytes of flash.

    samples: `[N, ...]`, a few hundred. cost: gives the bytes of a network, such as `exported_cost`.
    names: of the layers that may change, by default all. ram: the most bytes of RAM; a form that
    takes more is not taken, unless the network takes as much without it; by default RAM may rise,
    and the rows say by how much. loss: of a network; by default the part of the energy of its
    outputs on the samples that is not what it was. tolerance: by how much the loss may rise over
    all layers. A layer in which EVBMF sees noise alone is removed if the loss allows that (its
    weights become zero), or stays.

    Layers of torch.nn at any depth change, also those that stand at several places, at all of
    these; others stay, and the row says why. Raises UsageError for names of no layer, samples that
    the network does not take, and what `cost` refuses of the network as it is.
    """
    if ram is not None:
        check_kind("ram", ram, int, "a number of bytes")
    aim = Flash(ram=ram)
    return search(network, samples, aim, cost=cost, names=names, tolerance=tolerance, loss=loss)
