"""Dead filters: channels whose weights are zero become smaller tensors.

    removed = remove_dead_filters(network, example)
    removed.network                      computes the same, with smaller weights

A channel goes where no layer that reads it needs it: all weights that read it are zero, or it is
constant, whatever the input. A constant other than 0 becomes part of the bias of the layer that
reads it, w_oi c summed over the taps for each output o. A layer must not be quantized for that,
since its bias would be rounded elsewhere, nor a convolution padded with zeros, since c differs from
the border. Channels that are added, filtered one by one or read by one group go together, or not at
all (see `channels.labels`). What a layer made for one that went is then unread: it goes on until
nothing goes. Then branches go that are constant as a whole (see `channels.branches`).
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from quantlab.compression.channels.branches import drop_branches
from quantlab.compression.channels.constants import Constants, constants_of, read_constants
from quantlab.compression.channels.cut import Indices, compose, cut, take
from quantlab.compression.channels.follow import channels_of
from quantlab.compression.channels.kinds import Layer
from quantlab.compression.channels.labels import Channels
from quantlab.compression.channels.weights import effective_weight, is_quantized, is_uniform
from quantlab.errors import UsageError, check_kind
from quantlab.graphs.paths import module_of
from quantlab.graphs.shapes import Example, as_tuple, evaluating, propagate_shapes
from quantlab.graphs.trace import trace
from quantlab.graphs.weights import num_owners, put

_FEW = 2  # samples tell all shapes, and which axis is the batch's


@dataclass(frozen=True, kw_only=True)
class Row:
    """A layer, and the shape of its weight before and after; None if the layer went."""

    layer: str
    shape: tuple[int, ...]
    new_shape: tuple[int, ...] | None

    def __str__(self) -> str:
        line = f"{self.layer}: {_product(self.shape)}"
        if self.new_shape is None:
            return f"{line}, removed"
        return line if self.new_shape == self.shape else f"{line} to {_product(self.new_shape)}"


@dataclass(frozen=True, kw_only=True)
class Removed:
    """A network without its dead filters.

    network: the graph of a copy, in the mode of the given network. rows: of each layer with
    weights, in the order of the calls. kept: of each entry of the state dict that is smaller now,
    which indices are left along each axis; None along one that is whole. gone, added: entries that
    are no longer there, such as those of a branch that was constant, and new ones, such as biases.
    The others keep their names.
    """

    network: fx.GraphModule
    rows: tuple[Row, ...]
    kept: Mapping[str, Indices]
    gone: tuple[str, ...]
    added: tuple[str, ...]


def remove_dead_filters(network: nn.Module, example: Example) -> Removed:
    """Return a network that computes the same in evaluation, with smaller weights.

    network: of floats or with quantizers; it does not change. Weights count as zero where their
        quantizer, if it is on, makes them zero.
    example: an input, or a tuple of all. Its sizes, but for the batch's, are those for which the
        new network computes the same.

    The network's inputs and outputs stay, and all that an unknown operation reads or makes. Each
    tensor keeps at least one channel, also where all are dead; but a branch that is constant as a
    whole becomes a parameter, unless the network has quantizers. In training, batch norms of
    constant channels would have followed the batch; those that are folded do not. The program of a
    quantized network keeps its integers, but for those of values without a quantizer, whose scale
    lowering chooses for the range of all channels. Raises UsageError for a network that cannot be
    traced, or does not take the example.
    """
    check_kind("network", network, nn.Module, "a torch.nn.Module")
    for x in as_tuple(example):
        check_kind("example", x, Tensor, "a tensor or a tuple of them")
    example = _few(as_tuple(example))
    gm = trace(copy.deepcopy(network), example)
    shapes, kept = _shapes(gm), dict[str, Indices]()
    with evaluating(gm), torch.no_grad():
        while (step := _remove_once(gm)) is not None:
            kept = compose(kept, step)
            propagate_shapes(gm, example)
    before, after, new = network.state_dict(), gm.state_dict(), _shapes(gm)
    rows = [Row(layer=name, shape=s, new_shape=new.get(name)) for name, s in shapes.items()]
    return Removed(
        network=gm,
        rows=tuple(rows),
        kept={name: indices for name, indices in kept.items() if name in after},
        gone=tuple(name for name in before if name not in after),
        added=tuple(name for name in after if name not in before),
    )


def cut_masks(masks: Mapping[str, Tensor], removed: Removed) -> dict[str, Tensor]:
    """Return masks by the names of layers, of the weights that are left.

    Raises UsageError for a mask that is smaller than the weight was.
    """
    named = {f"{name}.weight": mask for name, mask in masks.items()}
    left = cut_state(named, removed)
    return {name.removesuffix(".weight"): mask for name, mask in left.items()}


def cut_state(state: Mapping[str, Tensor], removed: Removed) -> dict[str, Tensor]:
    """Return tensors by the names of entries, such as the momentum of parameters, cut as these.

    Tensors without axes stay, such as a number of steps; those of entries that are gone go. Raises
    UsageError for a tensor that is smaller than the entry was.
    """
    left = {}
    for name, tensor in state.items():
        if name in removed.gone:
            continue
        indices = removed.kept.get(name, ()) if tensor.ndim else ()
        ends = [0 if index is None else int(index.max()) + 1 for index in indices]
        if len(ends) not in (0, tensor.ndim) or any(
            size < end for size, end in zip(tensor.shape, ends, strict=False)
        ):
            raise UsageError(
                f"{name}: {list(tensor.shape)} given, the shape before anything was removed "
                f"allowed, at least {ends}"
            )
        left[name] = take(tensor, indices)
    return left


def _few(example: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return two samples of an example, if its tensors are batches."""
    are_batches = len({x.shape[:1] for x in example}) == 1 and all(x.ndim for x in example)
    return tuple(x[:_FEW] for x in example) if are_batches else example


def _shapes(gm: fx.GraphModule) -> dict[str, tuple[int, ...]]:
    """Return the shape of the weight of each layer that the graph calls."""
    called = [str(node.target) for node in gm.graph.find_nodes(op="call_module")]
    layers = {name: gm.get_submodule(name) for name in called}
    return {n: tuple(one.weight.shape) for n, one in layers.items() if isinstance(one, Layer)}


def _product(shape: tuple[int, ...]) -> str:
    return " x ".join(str(size) for size in shape)


def _remove_once(gm: fx.GraphModule) -> dict[str, Indices] | None:
    """Remove, in place, the channels that can go now, or else branches. Returns what is left of the
    state; None if nothing went."""
    channels = channels_of(gm)
    constants = constants_of(gm, channels)
    gone = {channels.root(c) for labels in channels.tensors.values() for c in labels.ids}
    gone -= channels.pinned()
    for node in channels.layers:
        gone -= _needed(gm, channels, constants, node)
    for labels in channels.tensors.values():
        if all(channels.root(channel) in gone for channel in labels.ids):
            gone.discard(channels.root(labels.ids[0]))
    if not gone:
        return {} if drop_branches(gm, channels, constants) else None
    for node in channels.layers:
        _fold(gm, channels, constants, node, gone)
    return cut(gm, channels, gone)


def _needed(
    gm: fx.GraphModule, channels: Channels, constants: dict[fx.Node, Constants], node: fx.Node
) -> set[int]:
    """Return the channels that a layer needs: that it reads, and that are not what it can do
    without. What a group of several reads goes with all that it makes."""
    layer, inputs = module_of(gm, node), channels.layers[node].inputs
    x = read_constants(gm, constants, node)
    assert isinstance(layer, Layer)
    weight = effective_weight(layer)
    if inputs is None or x is None or len(weight) > 1:
        return set()
    can_fold = is_uniform(layer) and not is_quantized(layer) and _is_own(gm, layer)
    is_read = (weight != 0).any(3).any(1).flatten()
    is_needed = is_read & ~(x.is_known & (can_fold | (x.values == 0)))
    return {channels.root(inputs[i]) for i in is_needed.nonzero().flatten().tolist()}


def _fold(
    gm: fx.GraphModule,
    channels: Channels,
    constants: dict[fx.Node, Constants],
    node: fx.Node,
    gone: set[int],
) -> None:
    """Add what a layer makes of constants that go to its bias."""
    layer, inputs = module_of(gm, node), channels.layers[node].inputs
    x = read_constants(gm, constants, node)
    assert isinstance(layer, Layer)
    weight = effective_weight(layer)
    if inputs is None or x is None or len(weight) > 1:
        return
    is_gone = torch.tensor([channels.root(channel) in gone for channel in inputs])
    stays = torch.tensor([channels.root(c) not in gone for c in channels.layers[node].outputs])
    added = (weight[0].sum(2) * torch.where(is_gone, x.values, 0.0)).sum(1) * stays
    if bool((added != 0).any()):
        bias = 0.0 if layer.bias is None else layer.bias.detach().double().cpu()
        put(gm, layer, "bias", bias + added)


def _is_own(gm: fx.GraphModule, layer: Layer) -> bool:
    own = (p for p in layer._parameters.values() if p is not None)
    return all(num_owners(gm, parameter) == 1 for parameter in own)
