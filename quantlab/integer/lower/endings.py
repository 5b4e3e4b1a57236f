"""Softmax as the last layer, which integers leave out: the scores before it have the same order."""

from torch import fx, nn

from quantlab.graphs.paths import module_of
from quantlab.integer.lower.handlers import is_passing
from quantlab.integer.lower.results import is_gathered

LAST = (nn.Softmax, nn.Softmax2d, nn.LogSoftmax)


def is_ending(gm: fx.GraphModule, node: fx.Node, module: nn.Module) -> bool:
    """Return whether a softmax is over the classes, and nothing but the output reads it."""
    return _axis(module, len(node.meta["shape"])) == 1 and is_last(gm, node)


def _axis(module: nn.Module, num_axes: int) -> int:
    """Return the axis of a softmax, the batch first; torch chooses one where none is given."""
    if isinstance(module, nn.Softmax2d):
        return 1
    assert isinstance(module, nn.Softmax | nn.LogSoftmax)
    if module.dim is None:
        return 0 if num_axes == 3 else 1
    return module.dim % num_axes


def is_last(gm: fx.GraphModule, node: fx.Node) -> bool:
    """Return whether a node's tensor is an output of the network, and nothing else."""

    def passes(user: fx.Node) -> bool:
        if is_gathered(user):
            return True
        module = module_of(gm, user)
        return module is not None and is_passing(module) and is_last(gm, user)

    return all(passes(user) for user in node.users)


def name_of(module: nn.Module) -> str:
    """Return what a program calls a softmax that it leaves out."""
    return "LogSoftmax" if isinstance(module, nn.LogSoftmax) else "Softmax"


def left_out(module: nn.Module) -> str:
    """Return what is said where a softmax is left out."""
    return (
        f"{name_of(module)} is left out of the integer program, whose outputs are the scores "
        "before it, in the same order"
    )
