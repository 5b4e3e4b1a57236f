"""Cross-layer equalization: spread the ranges of weights evenly over neighbouring layers.

M. Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, 2019,
arXiv:1906.04721. For two layers with nothing between them but functions with f(s x) = s f(x) for
s > 0, and any positive s_i for each channel i between them,

    W1' = W1 / s,  b1' = b1 / s  (rows),    W2' = W2 * s  (input channels)

compute the same. With r1_i the largest |W1| of row i and r2_i the largest |W2| of input channel i,

    s_i = sqrt(r1_i r2_i) / r2_i                                                      (eq. 10, 11)

makes both ranges sqrt(r1_i r2_i): the channels of both tensors fill one grid equally well. A layer
may be the second of one pair and the first of another, so this is repeated over all pairs until
nothing moves; where either range is 0, s is 1.

f: ReLU, LeakyReLU, PReLU, dropout, max and average pooling, the mean over pixels, and flattening.
Not ReLU6, whose limit does not scale.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from quantlab.graphs.operations import Mean
from quantlab.graphs.paths import module_of
from quantlab.graphs.report import reported
from quantlab.graphs.weights import LAYERS, check_unquantized, is_linear, num_owners, put

_HOMOGENEOUS = (
    nn.Identity,
    nn.ReLU,
    nn.LeakyReLU,
    nn.PReLU,
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
)
_POOLS = (
    nn.MaxPool1d,
    nn.MaxPool2d,
    nn.AvgPool1d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool1d,
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool1d,
    nn.AdaptiveMaxPool2d,
)
Layers = Mapping[fx.Node, nn.Module]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two layers, and how many inputs of the second each channel of the first becomes."""

    first: fx.Node
    second: fx.Node
    block: int


@reported("equalize")
def equalize(
    gm: fx.GraphModule, *, tolerance: float = 1e-3, max_sweeps: int = 200
) -> Iterator[str]:
    """Equalize all pairs of layers between which nothing but homogeneous functions stand, in place.

    tolerance: it ends with the sweep over all pairs in which no factor is further from 1.

    Leaves alone tensors that something else reads too, layers with a forward pass of their own, and
    weights that several layers share. Fold batch norms first. Raises UsageError, with nothing
    changed, if a weight or a tensor between two layers has a quantizer within its layer.
    """
    pairs = pairs_of(gm)
    layers = {n: gm.get_submodule(str(n.target)) for p in pairs for n in (p.first, p.second)}
    for pair in pairs:
        check_unquantized("equalize", str(pair.first.target), layers[pair.first])
        check_unquantized("equalize", str(pair.second.target), layers[pair.second], is_last=True)
    ranges = _Ranges(pairs, layers)
    before = {pair: ranges.imbalance(pair) for pair in pairs}
    for _ in range(max_sweeps):
        if max((ranges.equalize(pair) for pair in pairs), default=0.0) <= tolerance:
            break
    for pair in pairs:
        _scale(gm, pair, layers, ranges.scales[pair])
        yield (
            f"{pair.first.target} -> {pair.second.target}: ranges of a channel differed up to "
            f"{before[pair]:.4g} times, now {ranges.imbalance(pair):.4g}"
        )


class _Ranges:
    """The ranges of the channels between the layers of each pair, and the scales s found so far.

    Of each weight only the largest magnitude for each output and input channel is looked at:
    [groups, outputs of a group, inputs of a group].
    """

    def __init__(self, pairs: Sequence[Pair], layers: Layers) -> None:
        self._as_first = {pair.first: pair for pair in pairs}
        self._as_second = {pair.second: pair for pair in pairs}
        self._largest = {
            node: _input_view(layer, self._block(node)).abs().amax(3).float()
            for node, layer in layers.items()
        }
        self.scales = {
            pair: torch.ones_like(self._largest[pair.first][..., 0]).flatten() for pair in pairs
        }

    def equalize(self, pair: Pair) -> float:
        """Make both ranges of a pair equal. Returns how far the factors are from 1 at most."""
        rows, inputs, is_used = self._of(pair)
        factors = torch.where(is_used, (rows * inputs).sqrt() / inputs, 1.0)
        self.scales[pair] = self.scales[pair] * factors.float()
        return float((factors - 1).abs().max())

    def imbalance(self, pair: Pair) -> float:
        """Return by what factor both ranges differ in the channel where they do most."""
        rows, inputs, is_used = self._of(pair)
        ratio = rows[is_used] / inputs[is_used]
        return float(torch.maximum(ratio, 1 / ratio).max()) if len(ratio) else 1.0

    def _of(self, pair: Pair) -> tuple[Tensor, Tensor, Tensor]:
        """Return r1, r2 and whether they can be scaled, for each channel."""
        rows = self._scaled(pair.first).amax(2).flatten().double()
        inputs = self._scaled(pair.second).amax(1).flatten().double()
        return rows, inputs, (rows * inputs > 0) & (rows * inputs).isfinite()

    def _scaled(self, node: fx.Node) -> Tensor:
        largest = self._largest[node]
        groups, outputs, inputs = largest.shape
        if node in self._as_first:
            largest = largest / self.scales[self._as_first[node]].reshape(groups, outputs, 1)
        if node in self._as_second:
            largest = largest * self.scales[self._as_second[node]].reshape(groups, 1, inputs)
        return largest

    def _block(self, node: fx.Node) -> int:
        return self._as_second[node].block if node in self._as_second else 1


def _input_view(layer: nn.Module, block: int) -> Tensor:
    """Return a weight in float64 as [groups, outputs of a group, channels of a group, the rest]."""
    weight = layer.get_parameter("weight").detach().double()
    groups = getattr(layer, "groups", 1)
    return weight.reshape(groups, len(weight) // groups, weight.shape[1] // block, -1)


def _scale(gm: fx.GraphModule, pair: Pair, layers: Layers, s: Tensor) -> None:
    first, second = layers[pair.first], layers[pair.second]
    weight, bias = first.get_parameter("weight").detach(), first._parameters.get("bias")
    put(gm, first, "weight", weight.double() / s.reshape(-1, *[1] * (weight.ndim - 1)))
    if bias is not None:
        put(gm, first, "bias", bias.detach().double() / s)
    view = _input_view(second, pair.block)
    scaled = view * s.reshape(view.shape[0], 1, view.shape[2], 1)
    put(gm, second, "weight", scaled.reshape(second.get_parameter("weight").shape))


def pairs_of(gm: fx.GraphModule) -> list[Pair]:
    """Return the pairs of layers that may be equalized, in the order of the graph."""
    found = (_pair_from(gm, node) for node in gm.graph.find_nodes(op="call_module"))
    return [pair for pair in found if pair is not None]


def _pair_from(gm: fx.GraphModule, node: fx.Node) -> Pair | None:
    first = module_of(gm, node)
    if first is None or not _is_own(gm, first):
        return None
    is_flat = isinstance(first, nn.Linear)
    here = node
    while len(here.users) == 1:
        (here,) = here.users
        module = module_of(gm, here)
        if module is None or len(here.all_input_nodes) != 1:
            return None
        if isinstance(module, LAYERS):
            block = _block(first, module, is_flat=is_flat)
            if block is None or not _is_own(gm, module):
                return None
            return Pair(first=node, second=here, block=block)
        if _flattens(module, first) and not is_flat:
            is_flat = True
        elif not isinstance(module, _HOMOGENEOUS) and (is_flat or not _is_pool(module, first)):
            return None
    return None


def _block(first: nn.Module, second: nn.Module, *, is_flat: bool) -> int | None:
    """Return how many inputs of `second` a channel becomes; None if they are not made of channels.

    A flattened tensor has the pixels of a channel one after the other.
    """
    rows, inputs = first.get_parameter("weight").shape[0], second.get_parameter("weight").shape
    if isinstance(second, nn.Linear):
        return inputs[1] // rows if is_flat and inputs[1] % rows == 0 else None
    return 1 if _num_pixel_axes(first) == _num_pixel_axes(second) and not is_flat else None


def _is_own(gm: fx.GraphModule, layer: nn.Module) -> bool:
    """Return whether a layer is linear and has weight and bias for itself."""
    if not isinstance(layer, LAYERS) or not is_linear(layer):
        return False
    return all(num_owners(gm, p) == 1 for p in layer._parameters.values() if p is not None)


def _is_pool(module: nn.Module, first: nn.Module) -> bool:
    if isinstance(module, Mean):
        return module.keepdim and _pixel_axes(module, first) is not None
    return isinstance(module, _POOLS) and not getattr(module, "return_indices", False)


def _flattens(module: nn.Module, first: nn.Module) -> bool:
    """Return whether [N, C, ...] becomes [N, C * pixels]."""
    if isinstance(module, Mean):
        return not module.keepdim and _pixel_axes(module, first) == _num_pixel_axes(first)
    return isinstance(module, nn.Flatten) and (module.start_dim, module.end_dim) == (1, -1)


def _pixel_axes(mean: Mean, first: nn.Module) -> int | None:
    """Return over how many axes of pixels a mean is taken; None if it is over others too."""
    num_axes = _num_pixel_axes(first)
    axes = {dim if dim >= 0 else dim + 2 + num_axes for dim in mean.dims or (0,)}
    return len(axes) if all(axis >= 2 for axis in axes) else None


def _num_pixel_axes(layer: nn.Module) -> int:
    return layer.get_parameter("weight").ndim - 2
