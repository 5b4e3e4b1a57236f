"""Tensors that a graph reads by name, such as a parameter that is added."""

from torch import Tensor, fx


def tensor_of(gm: fx.GraphModule, node: fx.Node) -> Tensor:
    """Return the tensor that a node reads."""
    path, _, name = str(node.target).rpartition(".")
    tensor = getattr(gm.get_submodule(path), name)
    assert isinstance(tensor, Tensor)
    return tensor


def has_channels(gm: fx.GraphModule, node: fx.Node) -> bool:
    """Return whether a node reads a parameter or buffer `[1, C, 1, ...]` of floats."""
    if node.op != "get_attr":
        return False
    tensor, shape = tensor_of(gm, node), tensor_of(gm, node).shape
    is_by_channel = len(shape) >= 2 and shape[1] == tensor.numel()
    return is_by_channel and tensor.is_floating_point()
