"""Tensors that several modules have: these lose the same channels of them, or none."""

from torch import fx, nn

from quantlab.compression.channels.kinds import Kind
from quantlab.compression.channels.labels import Channels
from quantlab.compression.channels.sources import tensor_of
from quantlab.compression.channels.weights import own_tensors, owners_of, tensors_of
from quantlab.graphs.match import inputs_of
from quantlab.graphs.paths import module_of


def tie(gm: fx.GraphModule, channels: Channels) -> None:
    """Unite the channels of calls that share a tensor; pin them where anything else has it too."""
    readers: dict[int, list[fx.Node]] = {}
    called: dict[int, set[nn.Module]] = {}
    for node, kind in channels.kinds.items():
        module = module_of(gm, node)
        if module is None or kind not in (Kind.LAYER, Kind.CHANNELWISE):
            continue
        for owner in owners_of(module):
            for tensor in own_tensors(owner):
                called.setdefault(id(tensor), set()).add(owner)
        for tensor in tensors_of(module):
            readers.setdefault(id(tensor), []).append(node)
    owners, aside = _owners(gm), _read_aside(gm)
    for key, nodes in readers.items():
        is_elsewhere = called[key] != owners[key] or key in aside
        for node in nodes[1:]:
            is_elsewhere |= not _unite(gm, channels, nodes[0], node)
        if is_elsewhere:
            for node in nodes:
                _pin(channels, node)


def _owners(gm: fx.GraphModule) -> dict[int, set[nn.Module]]:
    """Return the modules that have each tensor, by its identity."""
    owners: dict[int, set[nn.Module]] = {}
    for module in gm.modules():
        for tensor in own_tensors(module):
            owners.setdefault(id(tensor), set()).add(module)
    return owners


def _read_aside(gm: fx.GraphModule) -> set[int]:
    """Return the identities of the tensors that the graph reads by name."""
    return {id(tensor_of(gm, node)) for node in gm.graph.find_nodes(op="get_attr")}


def _unite(gm: fx.GraphModule, channels: Channels, first: fx.Node, second: fx.Node) -> bool:
    """Unite the channels of two calls. Returns whether they have the same ones."""
    one, other = channels.layers.get(first), channels.layers.get(second)
    if one and other and one.inputs and other.inputs:
        if not _is_alike(module_of(gm, first), module_of(gm, second)):
            return False
        channels.unite(one.outputs, other.outputs)
        channels.unite(one.inputs, other.inputs)
        return True
    x, y = channels.tensors.get(first), channels.tensors.get(second)
    if x is None or y is None or {channels.kinds[n] for n in (first, second)} != {Kind.CHANNELWISE}:
        return False
    channels.unite(x.ids, y.ids)
    return True


def _pin(channels: Channels, node: fx.Node) -> None:
    for one in (node, *inputs_of(node)):
        if one in channels.tensors:
            channels.pin(channels.tensors[one].ids)


def _is_alike(first: nn.Module | None, second: nn.Module | None) -> bool:
    """Return whether two layers with one weight read it alike."""
    groups = [getattr(layer, "groups", 1) for layer in (first, second)]
    return type(first) is type(second) and groups[0] == groups[1]
