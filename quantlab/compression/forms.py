"""The forms that may take the place of a layer, and the ranks that each one is tried with.

The ranks go from the least up to those that EVBMF finds beneath the noise of the weights. A form
without such ranks, since all is noise to EVBMF, is not tried; `Removed` is, for such layers alone.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from quantlab.compression.layers import Layer
from quantlab.compression.lowrank import grouped, spatial, svd, tucker
from quantlab.compression.moments import Observed, roots
from quantlab.compression.vbmf import evbmf

Ranks = tuple[int, ...]


class Form(ABC):
    """A way to compute about what a layer does."""

    @abstractmethod
    def obstacle(self, layer: Layer) -> str | None:
        """Return why a layer has no such form, None if it has."""

    @abstractmethod
    def ranks(self, layer: Layer) -> Sequence[Ranks]:
        """Return the ranks to try, each at least those before it; none if EVBMF sees noise."""

    @abstractmethod
    def build(self, layer: Layer, ranks: Ranks, observed: Observed) -> nn.Module:
        """Return a layer in this form."""

    @abstractmethod
    def describe(self, ranks: Ranks) -> str:
        """Return the form in words."""


class Svd(Form):
    """Two layers, with the least error of the outputs on the samples."""

    def obstacle(self, layer: Layer) -> str | None:
        """See `Form`."""
        return _narrow(layer, *grouped(layer).flatten(2).shape[1:])

    def ranks(self, layer: Layer) -> Sequence[Ranks]:
        """See `Form`."""
        return [(rank,) for rank in range(1, _rank(grouped(layer).flatten(2), layer) + 1)]

    def build(self, layer: Layer, ranks: Ranks, observed: Observed) -> nn.Module:
        """See `Form`."""
        return svd(layer, ranks[0], outputs_Goo=observed.outputs_Goo)

    def describe(self, ranks: Ranks) -> str:
        """See `Form`."""
        return f"svd of rank {ranks[0]}"


class Tucker(Form):
    """A core between two layers of 1x1. Of the ranks of outputs and inputs, the one whose last
    component is the smaller is lowered first."""

    def obstacle(self, layer: Layer) -> str | None:
        """See `Form`."""
        if isinstance(layer, nn.Linear) or layer.weight[0, 0].numel() == 1:
            return "no kernel beyond 1x1"
        return _narrow(layer, *grouped(layer).shape[1:3])

    def ranks(self, layer: Layer) -> Sequence[Ranks]:
        """See `Form`."""
        w_GocK = grouped(layer).flatten(3)
        modes = [w_GocK.flatten(2), w_GocK.transpose(1, 2).flatten(2)]
        left = [_rank(mode, layer) for mode in modes]
        if 0 in left:
            return []
        values = [torch.linalg.svdvals(mode).square().sum(0) for mode in modes]
        chain = [(left[0], left[1])]
        while max(left) > 1:
            shrinking = [axis for axis in (0, 1) if left[axis] > 1]
            axis = min(shrinking, key=lambda axis: values[axis][left[axis] - 1].item())
            left[axis] -= 1
            chain.append((left[0], left[1]))
        return chain[::-1]

    def build(self, layer: Layer, ranks: Ranks, observed: Observed) -> nn.Module:
        """See `Form`."""
        assert not isinstance(layer, nn.Linear)
        assert observed.inputs_Gcc is not None
        return tucker(layer, (ranks[0], ranks[1]), inputs=roots(observed.inputs_Gcc))

    def describe(self, ranks: Ranks) -> str:
        """See `Form`."""
        return f"tucker of ranks {ranks[0]} and {ranks[1]}"


class Spatial(Form):
    """A layer over the rows and one over the columns."""

    def obstacle(self, layer: Layer) -> str | None:
        """See `Form`."""
        if not isinstance(layer, nn.Conv2d) or 1 in layer.kernel_size:
            return "no kernel of two axes"
        return None

    def ranks(self, layer: Layer) -> Sequence[Ranks]:
        """See `Form`."""
        matrix = grouped(layer).permute(0, 2, 3, 1, 4).flatten(3).flatten(1, 2)
        return [(rank,) for rank in range(1, _rank(matrix, layer) + 1)]

    def build(self, layer: Layer, ranks: Ranks, observed: Observed) -> nn.Module:
        """See `Form`."""
        assert isinstance(layer, nn.Conv2d)
        assert observed.inputs_Gcc is not None
        return spatial(layer, ranks[0], inputs=roots(observed.inputs_Gcc))

    def describe(self, ranks: Ranks) -> str:
        """See `Form`."""
        return f"spatial of rank {ranks[0]}"


class Removed(Form):
    """Weights of zero, for a layer whose weights are noise: it gives its bias."""

    def obstacle(self, layer: Layer) -> str | None:
        """See `Form`."""
        matrix = grouped(layer).flatten(2)
        narrow = _narrow(layer, *matrix.shape[1:])
        return narrow or ("no noise" if _rank(matrix, layer) else None)

    def ranks(self, layer: Layer) -> Sequence[Ranks]:
        """See `Form`."""
        return [()]

    def build(self, layer: Layer, ranks: Ranks, observed: Observed) -> nn.Module:
        """See `Form`."""
        removed = copy.deepcopy(layer)
        with torch.no_grad():
            removed.weight.zero_()
        return removed

    def describe(self, ranks: Ranks) -> str:
        """See `Form`."""
        return "removed"


LOW_RANK: Mapping[str, Form] = {"svd": Svd(), "tucker": Tucker(), "spatial": Spatial()}


def _narrow(layer: Layer, outputs: int, inputs: int) -> str | None:
    """Return what a matrix of weights with one row or column is called, None for others."""
    if min(outputs, inputs) > 1:
        return None
    is_grouped = not isinstance(layer, nn.Linear) and layer.groups > 1
    return f"{'depthwise' if is_grouped else 'one channel'}, no lower rank"


def _rank(matrix_Gmn: Tensor, layer: Layer) -> int:
    """Return the largest rank that EVBMF finds in a group of a layer's weights."""
    dtype = layer.weight.dtype
    plain = matrix_Gmn.to("cpu", torch.float32 if dtype == torch.bfloat16 else dtype)
    return max(evbmf(matrix.numpy()).rank for matrix in plain)
