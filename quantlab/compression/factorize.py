"""Low-rank forms of layers, kept only where the bytes of a network fall."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from quantlab.compression.cost import Cost, CostFunction
from quantlab.compression.factorized import Factorized
from quantlab.compression.forms import LOW_RANK, Form, Removed
from quantlab.compression.lowrank import Layer
from quantlab.compression.search import search
from quantlab.compression.trying import Aim, Loss


class Flash(Aim):
    """Fewer bytes of flash, of the largest layers first."""

    unit = "flash"
    forms: Mapping[str, Form] = {**LOW_RANK, "removed": Removed()}
    is_peak = False

    def figure(self, cost: Cost) -> int:
        """See `Aim`."""
        return cost.flash

    def priority(self, layer: Layer, sizes: Sequence[int]) -> int:
        """See `Aim`."""
        return layer.weight.numel()


def factorize(
    network: nn.Module,
    samples: Tensor,
    *,
    cost: CostFunction,
    names: Sequence[str] | None = None,
    tolerance: float = 0.01,
    loss: Loss | None = None,
) -> Factorized:
    """Return a copy of a trained float network in which layers have low-rank forms, where that
    lowers its bytes of flash.

    samples: `[N, ...]`, a few hundred. cost: gives the bytes of a network, such as `exported_cost`.
    names: of the layers that may change, by default all. loss: of a network; by default the part of
    the energy of its outputs on the samples that is not what it was. tolerance: by how much the
    loss may rise over all layers. A layer in which EVBMF sees noise alone is removed if the loss
    allows that (its weights become zero), or stays. RAM may rise; the rows say by how much.

    Layers of torch.nn at any depth change, also those that stand at several places, at all of
    these; others stay, and the row says why. Raises UsageError for names of no layer, samples that
    the network does not take, and what `cost` refuses of the network as it is.
    """
    return search(network, samples, Flash(), cost=cost, names=names, tolerance=tolerance, loss=loss)
