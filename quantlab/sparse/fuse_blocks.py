"""Blocks in the place of convolution, batch norm, ReLU and pooling, to train in less memory.

    network = fuse_blocks(sparsify(network, masks))

What a step keeps for the backward pass is then two bytes of each number between layers, not eight.
"""

from torch import fx, nn

from quantlab.graphs.edit import Rule
from quantlab.graphs.match import Match, Op
from quantlab.graphs.paths import callers
from quantlab.graphs.trace import trace
from quantlab.sparse.block import SparseBlock
from quantlab.sparse.compact_relu import CompactReLU
from quantlab.sparse.convolution import SparseConv2d


class FuseBlock(Rule):
    """`SparseConv2d -> BatchNorm2d [-> ReLU [-> MaxPool2d of 2 x 2]]` becomes a `SparseBlock`, at
    the convolution's place, with its own name for the parameters: `<conv>.conv.weight`."""

    name = "fuse_block"

    def __init__(self, *, has_relu: bool, has_pool: bool) -> None:
        self._ends = {"has_relu": has_relu, "has_pool": has_pool}
        self._conv = Op(SparseConv2d, where=_is_even)
        self._norm = self.pattern = Op(nn.BatchNorm2d, self._conv)
        if has_relu:
            self.pattern = Op((nn.ReLU, CompactReLU), self.pattern)
        if has_pool:
            self.pattern = Op(nn.MaxPool2d, self.pattern, where=_is_halving)

    def rewrite(self, gm: fx.GraphModule, match: Match) -> str | None:
        conv, norm = match.module(self._conv), match.module(self._norm)
        if any(len(callers(gm)[layer]) > 1 for layer in (conv, norm)):
            return None
        assert isinstance(conv, SparseConv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        node = match[self._conv]
        path = str(node.target)
        gm.set_submodule(path, SparseBlock(conv, norm, **self._ends).train(norm.training))
        match.root.replace_all_uses_with(node)
        later = [other for other in match.nodes if other is not node]
        for other in reversed(later):
            gm.graph.erase_node(other)
        for other in later:
            module = gm.get_submodule(str(other.target))
            if module not in callers(gm):
                gm.delete_submodule(str(other.target))
        return f"{path}: with {', '.join(str(other.target) for other in later)}"


def fuse_blocks(network: nn.Module) -> fx.GraphModule:
    """Return a network as a graph in which sparse convolutions with their batch norms, ReLUs and
    poolings are blocks, and in which all other ReLUs are compact.

    It computes what it did and shares the parameters. Raises UsageError where the network cannot be
    followed.
    """
    gm = trace(network, leaves=(SparseConv2d, SparseBlock, CompactReLU))
    for has_relu, has_pool in ((True, True), (True, False), (False, False)):
        FuseBlock(has_relu=has_relu, has_pool=has_pool)(gm)
    for path, module in list(gm.named_modules()):
        if type(module) is nn.ReLU:
            gm.set_submodule(path, CompactReLU())
    gm.recompile()
    return gm


def _is_even(node: fx.Node, conv: nn.Module | None) -> bool:
    return isinstance(conv, SparseConv2d) and not any(conv.extra_padding)


def _is_halving(node: fx.Node, pool: nn.Module | None) -> bool:
    if not isinstance(pool, nn.MaxPool2d) or pool.return_indices or pool.ceil_mode:
        return False
    sizes = {_pair(pool.kernel_size), _pair(pool.stride)}
    return sizes == {(2, 2)} and _pair(pool.padding) == (0, 0) and _pair(pool.dilation) == (1, 1)


def _pair(size: int | tuple[int, ...]) -> tuple[int, ...]:
    return (size, size) if isinstance(size, int) else tuple(size)
