"""Pruning by magnitude: which weights of a network are kept, and the network without the others.

    masks = global_magnitude(network, 0.9, selector=select("!first & !last"))
    network = sparsify(network, masks)

A mask is a bool tensor of its weight's shape, True where the weight is kept. Of n weights,
round(sparsity n) are removed, the smallest by magnitude; of equal ones those that come first.
"""

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from quantlab.errors import UsageError, check_kind
from quantlab.graphs.replace import (
    DenseLayer,
    dense_layer,
    dense_layers,
    replace_modules,
)
from quantlab.graphs.select import Selector
from quantlab.graphs.weights import is_generated
from quantlab.sparse.convolution import SparseConv2d
from quantlab.sparse.convolution_layer import Conv2dLayer
from quantlab.sparse.half import HalfSparseConv2d, HalfSparseLinear
from quantlab.sparse.layer import SparseLayer
from quantlab.sparse.linear import SparseLinear
from quantlab.sparse.linear_layer import LinearLayer
from quantlab.sparse.obstacle import obstacle
from quantlab.sparse.quantized import QuantizedSparseConv2d, QuantizedSparseLinear

Masks = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class SparseLayers:
    """The layers of an arithmetic."""

    linear: type[LinearLayer]
    convolution: type[Conv2dLayer]


FLOAT = SparseLayers(linear=SparseLinear, convolution=SparseConv2d)
HALF = SparseLayers(linear=HalfSparseLinear, convolution=HalfSparseConv2d)
INT8 = SparseLayers(linear=QuantizedSparseLinear, convolution=QuantizedSparseConv2d)


def global_magnitude(
    network: nn.Module,
    sparsity: float,
    *,
    selector: Selector | None = None,
    skip: Collection[str] = (),
) -> dict[str, Tensor]:
    """Return masks by dotted layer name, with one threshold over the weights of all layers.

    selector: of which Linear and Conv2d layers, all if None; skip: names of layers to leave out.
    A weight of several layers counts once. Warns of layers that keep no weight. Raises UsageError
    for a sparsity outside [0, 1), unknown names, NaN, or where no layer is left.
    """

    def keep(magnitudes: Sequence[Tensor]) -> Sequence[Tensor]:
        kept = _keep_largest(torch.cat(list(magnitudes)), sparsity)
        return torch.split(kept, [len(part) for part in magnitudes])

    return _masks(network, sparsity, selector, skip, keep)


def uniform_magnitude(
    network: nn.Module,
    sparsity: float,
    *,
    selector: Selector | None = None,
    skip: Collection[str] = (),
) -> dict[str, Tensor]:
    """Return masks by dotted layer name, with the same sparsity in each layer.

    The arguments, warnings and errors are those of `global_magnitude`.
    """

    def keep(magnitudes: Sequence[Tensor]) -> Sequence[Tensor]:
        return [_keep_largest(part, sparsity) for part in magnitudes]

    return _masks(network, sparsity, selector, skip, keep)


@torch.no_grad()
def apply_masks(network: nn.Module, masks: Masks) -> None:
    """Set the weights that are not kept to zero, in place. Raises UsageError."""
    for layer, mask in _by_layer(network, masks).items():
        layer.weight.masked_fill_(~mask, 0.0)


def sparsify(network: nn.Module, masks: Masks, layers: SparseLayers = FLOAT) -> nn.Module:
    """Replace each layer that has a mask by a sparse one, in place.

    layers: of which arithmetic, `FLOAT` (SparseLinear and SparseConv2d), `HALF` or `INT8`.
    Returns the given network, or the new layer if the network is itself the layer. The new layers
    have parameters of their own, under the names of the old ones, which an optimizer must be given;
    all others stay. A layer that stands at several places is replaced by one at all of them.
    Raises UsageError, with nothing changed, for unknown names and for layers that cannot be
    replaced: subclasses, with hooks, or with a parameter that another layer has too.
    """
    check_kind("network", network, nn.Module, "a torch.nn.Module")
    check_kind("masks", masks, Mapping, "masks by the names of layers")
    check_kind("layers", layers, SparseLayers, "FLOAT, HALF or INT8")
    for name, mask in masks.items():
        check_kind(f"masks.{name}", mask, Tensor, "a tensor")
    found = _by_layer(network, masks)
    names = {layer: name for name, layer in _named(network, masks).items()}
    for layer, name in names.items():
        reason = obstacle(network, layer)
        if reason is not None:
            raise UsageError(f"layer '{name}': cannot become sparse: {reason}")
    new: dict[nn.Module, nn.Module] = {
        one: to_sparse(one, mask, layers) for one, mask in found.items()
    }
    return replace_modules(network, new)


def to_sparse(
    layer: DenseLayer, mask: Tensor | None = None, layers: SparseLayers = FLOAT
) -> SparseLayer:
    """Return the sparse layer of a dense one's nonzero weights, or of a mask's.

    Frozen parameters stay frozen. Raises UsageError.
    """
    sparse: SparseLayer = (
        layers.linear.from_dense(layer, mask)
        if isinstance(layer, nn.Linear)
        else layers.convolution.from_dense(layer, mask)
    )
    for name, parameter in sparse.named_parameters():
        parameter.requires_grad_(layer.get_parameter(name).requires_grad)
    return sparse


def _masks(
    network: nn.Module,
    sparsity: float,
    selector: Selector | None,
    skip: Collection[str],
    keep: Callable[[Sequence[Tensor]], Sequence[Tensor]],
) -> dict[str, Tensor]:
    """Return what `keep` keeps of the magnitudes of each weight, by layer name."""
    if not 0 <= sparsity < 1:
        raise UsageError(f"sparsity: {sparsity} given; at least 0 and less than 1 allowed")
    layers = _selected(network, selector, skip)
    weights = {id(layer.weight): layer.weight for layer in layers.values()}
    kept = keep([_magnitudes(weight) for weight in weights.values()])
    by_weight = dict(zip(weights, kept, strict=True))
    masks = {}
    for name, layer in layers.items():
        weight = layer.weight
        masks[name] = by_weight[id(weight)].reshape(weight.shape).to(weight.device)
    empty = [name for name, mask in masks.items() if not mask.any()]
    if empty:
        names = ", ".join(f"'{name}'" for name in empty)
        warnings.warn(f"pruning: no weight is kept of {names} at {sparsity}", stacklevel=3)
    return masks


def _selected(
    network: nn.Module, selector: Selector | None, skip: Collection[str]
) -> dict[str, DenseLayer]:
    layers = dense_layers(network)
    left_out = [dense_layer(network, name, "skip") for name in skip]
    chosen = layers if selector is None else selector.among(layers)
    found = {n: layer for n, layer in layers.items() if n in chosen and layer not in left_out}
    if not found:
        raise UsageError("skip: leaves no layer to prune")
    for name, layer in found.items():
        if is_generated(layer):
            raise UsageError(
                f"layer '{name}': a weight computed from other parameters given, a parameter of "
                f"its own allowed; leave it out with '!{name}'"
            )
        if not torch.isfinite(layer.weight).all():
            raise UsageError(f"layer '{name}': weight has NaN or infinity; finite numbers allowed")
    return found


def _magnitudes(weight: Tensor) -> Tensor:
    magnitudes = weight.detach().abs().flatten().cpu()
    return magnitudes.to(torch.promote_types(weight.dtype, torch.float32))


def _keep_largest(magnitudes: Tensor, sparsity: float) -> Tensor:
    """Return whether each of `[n]` magnitudes is kept: all but round(sparsity n), the smallest."""
    num_removed = round(sparsity * len(magnitudes))
    if num_removed == 0:
        return torch.ones_like(magnitudes, dtype=torch.bool)
    threshold = magnitudes.kthvalue(num_removed).values
    kept = magnitudes >= threshold
    at_threshold = (magnitudes == threshold).nonzero().flatten()
    num_below = len(magnitudes) - int(kept.sum())
    kept[at_threshold[: num_removed - num_below]] = False
    return kept


def _named(network: nn.Module, masks: Masks) -> dict[str, DenseLayer]:
    return {name: dense_layer(network, name, "masks") for name in masks}


def _by_layer(network: nn.Module, masks: Masks) -> dict[DenseLayer, Tensor]:
    """Return the mask of each layer. Raises UsageError for two, wrong types and shapes."""
    found: dict[DenseLayer, Tensor] = {}
    for name, layer in _named(network, masks).items():
        mask = masks[name]
        if mask.dtype != torch.bool or mask.shape != layer.weight.shape:
            raise UsageError(
                f"masks: '{name}' is {mask.dtype} of {list(mask.shape)}; torch.bool of "
                f"{list(layer.weight.shape)} allowed"
            )
        if layer in found:
            raise UsageError(f"masks: '{name}' is a layer that has one under another name")
        found[layer] = mask
    return found
