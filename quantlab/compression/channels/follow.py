"""Following channels through a graph: from the layers that make them to those that read them."""

import math
from collections.abc import Sequence

from torch import fx, nn

from quantlab.compression.channels.kinds import Kind, Layer, kind_of
from quantlab.compression.channels.labels import Channels, Connection, Labels
from quantlab.compression.channels.reshapes import kept_axes
from quantlab.compression.channels.sources import has_channels, tensor_of
from quantlab.compression.channels.ties import tie
from quantlab.compression.channels.weights import groups_of, obstacle
from quantlab.graphs.match import inputs_of
from quantlab.graphs.modularize import number_nodes
from quantlab.graphs.operations import Concat, Reduction
from quantlab.graphs.paths import module_of
from quantlab.graphs.shapes import shape_of


def channels_of(gm: fx.GraphModule) -> Channels:
    """Return the channels of a graph whose nodes have shapes."""
    return _Follower(gm).follow()


class _Follower:
    def __init__(self, gm: fx.GraphModule) -> None:
        self._gm, self._channels = gm, Channels()
        self._sources: dict[int, tuple[int, ...]] = {}

    def follow(self) -> Channels:
        channels, numbers = self._channels, number_nodes(self._gm.graph)
        for node in self._gm.graph.nodes:
            kind = channels.kinds[node] = kind_of(self._gm, node, numbers)
            labels = self._labels(node, kind)
            shape = shape_of(node)
            if labels is not None and shape is not None and len(labels.ids) == shape[labels.axis]:
                channels.tensors[node] = labels
            else:
                if labels is not None:
                    channels.pin(labels.ids)
                if kind is not Kind.NUMBER:
                    self._pin(inputs_of(node))
        tie(self._gm, channels)
        return channels

    def _labels(self, node: fx.Node, kind: Kind) -> Labels | None:
        """Return the channels of a node's tensor; None pins those of its inputs."""
        match kind:
            case Kind.SOURCE:
                return self._of_source(node)
            case Kind.LAYER:
                return self._of_layer(node)
            case Kind.POINTWISE:
                return self._channels.tensors.get(inputs_of(node)[0])
            case Kind.CHANNELWISE:
                return self._of_channelwise(node)
            case Kind.JOIN:
                return self._of_join(node)
            case Kind.CONCAT:
                return self._of_concat(node)
            case Kind.REDUCTION:
                return self._of_reduction(node)
            case Kind.RESHAPE:
                return self._of_reshape(node)
            case Kind.NUMBER:
                self._read_size(node)
                return None
            case _:
                return None

    def _of_source(self, node: fx.Node) -> Labels | None:
        if not has_channels(self._gm, node):
            return None
        tensor = tensor_of(self._gm, node)
        if id(tensor) not in self._sources:
            self._sources[id(tensor)] = self._channels.fresh(tensor.numel())
        return Labels(axis=1, ids=self._sources[id(tensor)])

    def _of_layer(self, node: fx.Node) -> Labels | None:
        layer, x = module_of(self._gm, node), self._channels.tensors.get(inputs_of(node)[0])
        assert isinstance(layer, Layer)
        shape, reason = shape_of(node), obstacle(layer)
        is_flat = isinstance(layer, nn.Linear)
        if shape is None or reason is not None:
            return None
        if not is_flat and len(shape) != layer.weight.ndim:
            return None
        axis, groups = len(shape) - 1 if is_flat else 1, groups_of(layer)
        if x is not None and x.axis != axis:
            self._channels.pin(x.ids)
            x = None
        if groups > 1 and x is None:
            return None
        outputs = self._channels.fresh(shape[axis]) if groups == 1 else ()
        if groups > 1:
            assert x is not None
            size = len(x.ids) // groups
            firsts = [channel for channel in x.ids[::size] for _ in range(size)]
            self._channels.unite(firsts, x.ids)
            outputs = tuple(c for c in x.ids[::size] for _ in range(shape[axis] // groups))
        inputs = None if x is None else x.ids
        self._channels.layers[node] = Connection(inputs=inputs, outputs=outputs)
        return Labels(axis=axis, ids=outputs)

    def _of_channelwise(self, node: fx.Node) -> Labels | None:
        (source,) = inputs_of(node)
        x, shape, before = self._channels.tensors.get(source), shape_of(node), shape_of(source)
        if x is None or shape is None or before is None:
            return None
        module = module_of(self._gm, node)
        is_by_place = isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.PReLU)
        pad = getattr(module, "pad", None) or getattr(module, "padding", None)
        num_padded = len(pad) // 2 if isinstance(pad, tuple | list) else 0
        has_axes = len(shape) >= 3 and (num_padded <= len(shape) - 2)
        is_usual = x.axis == 1 and len(shape) == len(before) and (is_by_place or has_axes)
        return x if is_usual else None

    def _of_join(self, node: fx.Node) -> Labels | None:
        shape, sources = shape_of(node), inputs_of(node)
        tensors = [self._channels.tensors.get(source) for source in sources]
        known = [x for x in tensors if x is not None]
        if not known or shape is None or len({x.axis for x in known}) != 1:
            return None
        axis, wide = known[0].axis, [x for x in known if len(x.ids) == shape[known[0].axis]]
        for source, x in zip(sources, tensors, strict=True):
            own = shape_of(source)
            if own is None or len(own) != len(shape) or (x is None and own[axis] != 1):
                return None
        for x in known:
            if len(x.ids) != shape[axis]:
                self._channels.pin(x.ids)
        if not wide:
            return None
        for x in wide[1:]:
            self._channels.unite(wide[0].ids, x.ids)
        return wide[0]

    def _of_concat(self, node: fx.Node) -> Labels | None:
        module, shape, sources = module_of(self._gm, node), shape_of(node), inputs_of(node)
        assert isinstance(module, Concat)
        tensors = [self._channels.tensors.get(source) for source in sources]
        axes = {x.axis for x in tensors if x is not None}
        if shape is None or len(axes) != 1:
            return None
        (axis,) = axes
        if module.dim % len(shape) == axis:
            ids: list[int] = []
            for source, x in zip(sources, tensors, strict=True):
                own = shape_of(source)
                if own is None:
                    return None
                if x is None:
                    part = self._channels.fresh(own[axis])
                    self._channels.pin(part)
                ids += part if x is None else x.ids
            return Labels(axis=axis, ids=tuple(ids))
        known = [x for x in tensors if x is not None]
        if len(known) != len(tensors):
            return None
        for x in known[1:]:
            self._channels.unite(known[0].ids, x.ids)
        return known[0]

    def _of_reduction(self, node: fx.Node) -> Labels | None:
        (source,) = inputs_of(node)
        module, x, shape = module_of(self._gm, node), self._channels.tensors.get(source), None
        assert isinstance(module, Reduction)
        shape = shape_of(source)
        if x is None or shape is None or module.dims is None:
            return None
        dims = {dim % len(shape) for dim in module.dims}
        if x.axis in dims:
            return None
        lost = 0 if module.keepdim else sum(dim < x.axis for dim in dims)
        return Labels(axis=x.axis - lost, ids=x.ids)

    def _of_reshape(self, node: fx.Node) -> Labels | None:
        sources = inputs_of(node)
        x, before = self._channels.tensors.get(sources[0]), shape_of(sources[0])
        if x is None or before is None:
            return None
        axis = kept_axes(self._gm, node, before, x.axis)
        if axis is None:
            return None
        repeats = math.prod(before[x.axis + 1 :]) if axis.is_flat else 1
        ids = tuple(channel for channel in x.ids for _ in range(repeats))
        return Labels(axis=x.axis, ids=ids)

    def _read_size(self, node: fx.Node) -> None:
        """Pin the channels that a size counts."""
        for source in inputs_of(node):
            x, shape = self._channels.tensors.get(source), shape_of(source)
            if x is None or shape is None:
                continue
            if not _reads_other(node, len(shape), x.axis):
                self._channels.pin(x.ids)

    def _pin(self, nodes: Sequence[fx.Node]) -> None:
        for node in nodes:
            if node in self._channels.tensors:
                self._channels.pin(self._channels.tensors[node].ids)


def _reads_other(node: fx.Node, num_axes: int, axis: int) -> bool:
    """Return whether a size says nothing of an axis."""
    dims = [*node.args[1:], *node.kwargs.values()]
    if node.target in ("dim", "ndimension"):
        return True
    if node.target is getattr and dims != ["shape"]:
        return True
    if node.target != "size" or not dims:
        if node.target not in ("size", getattr):
            return False
        dims = [user.args[1] if len(user.args) == 2 else None for user in node.users]
    return all(isinstance(dim, int) and dim % num_axes != axis for dim in dims)
