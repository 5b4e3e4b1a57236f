"""Softmax as the last layer, which integers leave out: the scores before it have the same order."""

from torch import fx, nn

from quantlab.graphs.paths import module_of
from quantlab.integer.lower.handlers import is_passing

LAST = (nn.Softmax, nn.LogSoftmax)


def is_ending(gm: fx.GraphModule, node: fx.Node, module: nn.Module) -> bool:
    """Return whether a softmax is over the classes, and nothing but the output reads it."""
    assert isinstance(module, LAST)
    axes = len(node.meta["shape"])
    is_over_classes = (1 if module.dim is None else module.dim % axes) == 1
    return is_over_classes and is_last(gm, node)


def is_last(gm: fx.GraphModule, node: fx.Node) -> bool:
    """Return whether a node's tensor is the network's output, and nothing else."""

    def passes(user: fx.Node) -> bool:
        if user.op == "output":
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
