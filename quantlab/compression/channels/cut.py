"""Cutting channels out of a network: tensors, and what modules say of their sizes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, fx, nn

from quantlab.compression.channels.kinds import Kind, Layer
from quantlab.compression.channels.labels import Channels
from quantlab.compression.channels.reshapes import kept_axes, resize
from quantlab.compression.channels.sources import tensor_of
from quantlab.compression.channels.weights import groups_of, tensors_of, weight_quantizer
from quantlab.graphs.match import inputs_of
from quantlab.graphs.paths import module_of
from quantlab.graphs.report import entries
from quantlab.graphs.shapes import shape_of
from quantlab.graphs.weights import TRANSPOSED

# The indices that stay along each axis of a tensor, None along one that stays whole.
Indices = tuple[Tensor | None, ...]


@dataclass(kw_only=True)
class _Cuts:
    """What stays of each tensor; several modules may have one."""

    tensors: dict[int, Tensor] = field(default_factory=dict)
    indices: dict[int, Indices] = field(default_factory=dict)

    def add(self, tensor: Tensor, indices: Indices) -> None:
        if any(index is not None for index in indices):
            self.tensors[id(tensor)], self.indices[id(tensor)] = tensor, indices


def cut(gm: fx.GraphModule, channels: Channels, gone: set[int]) -> dict[str, Indices]:
    """Cut channels out of a graph, in place.

    gone: their roots. Parameters and buffers stay the objects that they are; gradients are dropped.
    Returns what is left of each entry of the state dict that has changed.
    """
    cuts, state = _Cuts(), entries(gm)
    for node, connection in channels.layers.items():
        layer = module_of(gm, node)
        assert isinstance(layer, Layer)
        outputs = _kept(channels, connection.outputs, gone)
        inputs = None if connection.inputs is None else _kept(channels, connection.inputs, gone)
        _cut_layer(cuts, layer, outputs, inputs)
    for node, labels in channels.tensors.items():
        kept = _kept(channels, labels.ids, gone)
        module, kind = module_of(gm, node), channels.kinds[node]
        if kept is not None and kind is Kind.CHANNELWISE and module is not None:
            _cut_channelwise(cuts, module, kept)
        elif kept is not None and kind is Kind.RESHAPE:
            _cut_reshape(gm, channels, node, len(kept))
        elif kept is not None and kind is Kind.SOURCE:
            tensor = tensor_of(gm, node)
            cuts.add(tensor, (None, kept, *(None for _ in tensor.shape[2:])))
    for key, tensor in cuts.tensors.items():
        tensor.data = take(tensor.detach(), cuts.indices[key])
        tensor.grad = None
    gm.recompile()
    return {name: cuts.indices[id(t)] for name, t in state.items() if id(t) in cuts.indices}


def take(tensor: Tensor, indices: Indices) -> Tensor:
    """Return what is left of a tensor."""
    for axis, index in enumerate(indices):
        if index is not None:
            tensor = tensor.index_select(axis, index.to(tensor.device))
    return tensor.clone()


def compose(first: Mapping[str, Indices], then: Mapping[str, Indices]) -> dict[str, Indices]:
    """Return two cuts as one."""
    both = dict(first)
    for name, indices in then.items():
        before = first.get(name, (None,) * len(indices))
        pairs = zip(before, indices, strict=True)
        both[name] = tuple(
            old if new is None else new if old is None else old[new] for old, new in pairs
        )
    return both


def _kept(channels: Channels, ids: tuple[int, ...], gone: set[int]) -> Tensor | None:
    """Return the indices of the channels that stay, None if all do."""
    kept = [index for index, channel in enumerate(ids) if channels.root(channel) not in gone]
    return None if len(kept) == len(ids) else torch.tensor(kept)


def _cut_layer(cuts: _Cuts, layer: Layer, outputs: Tensor | None, inputs: Tensor | None) -> None:
    front, behind = (inputs, outputs) if isinstance(layer, TRANSPOSED) else (outputs, inputs)
    # The channels of one group stay: groups go as a whole.
    axes = (front, behind if groups_of(layer) == 1 else None)
    weight, quantizer = layer.weight, weight_quantizer(layer)
    shape = weight.shape
    for tensor in tensors_of(layer):
        if tensor is layer.bias:
            cuts.add(tensor, (outputs,))
        else:
            cuts.add(tensor, _along(tensor, shape, axes))
    if quantizer is not None:
        quantizer.scale_shape = tuple(
            size if axis > 1 or size == 1 or index is None else len(index)
            for axis, (size, index) in enumerate(
                zip(quantizer.scale_shape, (*axes, *(None for _ in shape)), strict=False)
            )
        )
    _set_sizes(layer, outputs, inputs)


def _along(tensor: Tensor, shape: torch.Size, axes: tuple[Tensor | None, ...]) -> Indices:
    """Return what stays of a tensor of a weight's shape, or of a scale that broadcasts to it."""
    if tensor.ndim != len(shape):
        return ()
    sizes = zip(axes, tensor.shape, shape, strict=False)
    front = [index if size == whole else None for index, size, whole in sizes]
    return (*front, *(None for _ in shape[2:]))


def _set_sizes(layer: Layer, outputs: Tensor | None, inputs: Tensor | None) -> None:
    if isinstance(layer, nn.Linear):
        layer.out_features = layer.out_features if outputs is None else len(outputs)
        layer.in_features = layer.in_features if inputs is None else len(inputs)
        return
    if layer.groups > 1 and inputs is not None:
        layer.groups = layer.groups * len(inputs) // layer.in_channels
    layer.out_channels = layer.out_channels if outputs is None else len(outputs)
    layer.in_channels = layer.in_channels if inputs is None else len(inputs)


def _cut_channelwise(cuts: _Cuts, module: nn.Module, kept: Tensor) -> None:
    for tensor in tensors_of(module):
        cuts.add(tensor, (kept,))
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        module.num_features = len(kept)
    elif isinstance(module, nn.PReLU):
        module.num_parameters = len(kept)


def _cut_reshape(gm: fx.GraphModule, channels: Channels, node: fx.Node, count: int) -> None:
    source = inputs_of(node)[0]
    before = shape_of(source)
    assert before is not None
    axis = kept_axes(gm, node, before, channels.tensors[source].axis)
    if axis is not None and axis.is_counted:
        resize(node, count)
