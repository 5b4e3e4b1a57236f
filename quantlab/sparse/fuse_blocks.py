"""Blocks in the place of convolution, batch norm, ReLU and pooling, to train in less memory.

    network = fuse_blocks(sparsify(network, masks))

What a step keeps for the backward pass is then two bytes of each number between layers, not eight,
and nothing between blocks is transposed.
"""

import torch
from torch import fx, nn

from quantlab.graphs.edit import Rule
from quantlab.graphs.match import Match, Op
from quantlab.graphs.operations import Add
from quantlab.graphs.paths import callers
from quantlab.graphs.replace import has_hooks
from quantlab.graphs.trace import trace
from quantlab.sparse.block import SparseBlock
from quantlab.sparse.compact_batch_norm import CompactBatchNorm2d
from quantlab.sparse.compact_relu import CompactReLU
from quantlab.sparse.convolution_layer import Conv2dLayer
from quantlab.sparse.layer import SparseLayer

# A view of memory whose batch is innermost may not exist.
_OF_ANY_STRIDES = {"view": "reshape", "view_as": "reshape_as"}


class FuseBlock(Rule):
    """A sparse convolution with its `BatchNorm2d [-> ReLU [-> MaxPool2d of 2 x 2]]` becomes a
    `SparseBlock`, at the convolution's place: the parameters are then `<conv>.conv.weight` and so
    on."""

    name = "fuse_block"

    def __init__(self, *, has_relu: bool, has_pool: bool) -> None:
        self._ends = {"has_relu": has_relu, "has_pool": has_pool}
        self._conv = Op(Conv2dLayer, where=_is_even)
        self._norm = self.pattern = Op(nn.BatchNorm2d, self._conv, where=_is_plain)
        if has_relu:
            self.pattern = Op((nn.ReLU, CompactReLU), self.pattern, where=_is_plain)
        if has_pool:
            self.pattern = Op(nn.MaxPool2d, self.pattern, where=_is_halving)

    def rewrite(self, gm: fx.GraphModule, match: Match) -> str | None:
        conv, norm = match.module(self._conv), match.module(self._norm)
        if any(len(callers(gm)[layer]) > 1 for layer in (conv, norm)):
            return None
        assert isinstance(conv, Conv2dLayer)
        assert isinstance(norm, nn.BatchNorm2d)
        block = SparseBlock(conv, norm, **self._ends).train(norm.training)
        return replace_chain(gm, match, match[self._conv], block)


class FuseBatchNorm(Rule):
    """`BatchNorm2d [-> ReLU]` elsewhere becomes a `CompactBatchNorm2d`, at the batch norm's
    place."""

    name = "fuse_batch_norm"

    def __init__(self, *, has_relu: bool) -> None:
        self._has_relu = has_relu
        self._norm = self.pattern = Op(nn.BatchNorm2d, where=_is_plain)
        if has_relu:
            self.pattern = Op((nn.ReLU, CompactReLU), self.pattern, where=_is_plain)

    def rewrite(self, gm: fx.GraphModule, match: Match) -> str | None:
        norm, node = match.module(self._norm), match[self._norm]
        if len(callers(gm)[norm]) > 1:
            return None
        assert isinstance(norm, nn.BatchNorm2d)
        compact = CompactBatchNorm2d(norm, has_relu=self._has_relu).train(norm.training)
        return replace_chain(gm, match, node, compact)


def fuse_blocks(network: nn.Module) -> fx.GraphModule:
    """Return a network as a graph in which sparse convolutions with their batch norms, ReLUs and
    poolings are blocks, and in which all other ReLUs are compact.

    It computes what it did and shares the parameters. Layers with hooks stay as they are, and so do
    subclasses of torch's. Raises UsageError where the network cannot be followed.
    """
    gm = trace(network, leaves=(SparseLayer, SparseBlock, CompactBatchNorm2d, CompactReLU))
    for has_relu, has_pool in ((True, True), (True, False), (False, False)):
        FuseBlock(has_relu=has_relu, has_pool=has_pool)(gm)
    for has_relu in (True, False):
        FuseBatchNorm(has_relu=has_relu)(gm)
    for module, nodes in callers(gm).items():
        if type(module) is nn.ReLU and not has_hooks(module):
            # What else reads an input may rely on its change; that of a sum nothing else reads.
            may_change = all(_is_sum(gm, node.args[0]) for node in nodes)
            relu = CompactReLU(inplace=module.inplace or may_change)
            for path in {str(node.target) for node in nodes}:
                gm.set_submodule(path, relu)
    for node in gm.graph.nodes:
        given = (*node.args, *node.kwargs.values())
        gives_type = any(isinstance(one, torch.dtype) for one in given)
        if node.op == "call_method" and node.target in _OF_ANY_STRIDES and not gives_type:
            node.target = _OF_ANY_STRIDES[node.target]
    gm.recompile()
    return gm


def replace_chain(gm: fx.GraphModule, match: Match, first: fx.Node, module: nn.Module) -> str:
    """Put a module at the place of a chain's first one; return what to report."""
    path = str(first.target)
    gm.set_submodule(path, module)
    match.root.replace_all_uses_with(first)
    later = [other for other in match.nodes if other is not first]
    for other in reversed(later):
        gm.graph.erase_node(other)
    for other in later:
        if gm.get_submodule(str(other.target)) not in callers(gm):
            gm.delete_submodule(str(other.target))
    return f"{path}: with {', '.join(str(other.target) for other in later)}"


def _is_sum(gm: fx.GraphModule, node: object) -> bool:
    """Return whether a value is a sum that nothing else reads; sums are not kept for backward."""
    if not isinstance(node, fx.Node) or node.op != "call_module" or len(node.users) > 1:
        return False
    return isinstance(gm.get_submodule(str(node.target)), Add)


def _is_plain(node: fx.Node, module: nn.Module | None) -> bool:
    """Return whether a call of a module does nothing else than torch's own."""
    own = (nn.BatchNorm2d, nn.ReLU, CompactReLU, nn.MaxPool2d)
    return module is not None and type(module) in own and not has_hooks(module)


def _is_even(node: fx.Node, conv: nn.Module | None) -> bool:
    return isinstance(conv, Conv2dLayer) and not any(conv.extra_padding) and not has_hooks(conv)


def _is_halving(node: fx.Node, pool: nn.Module | None) -> bool:
    if not isinstance(pool, nn.MaxPool2d) or not _is_plain(node, pool):
        return False
    if pool.return_indices or pool.ceil_mode:
        return False
    sizes = {_pair(pool.kernel_size), _pair(pool.stride)}
    return sizes == {(2, 2)} and _pair(pool.padding) == (0, 0) and _pair(pool.dilation) == (1, 1)


def _pair(size: int | tuple[int, ...]) -> tuple[int, ...]:
    return (size, size) if isinstance(size, int) else tuple(size)
