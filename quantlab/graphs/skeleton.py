"""From a network and a graph of it to a GraphModule."""

from collections.abc import Mapping
from functools import partial

from torch import Tensor, fx, nn

from quantlab.graphs.watch import IsLeaf


def assemble(
    network: nn.Module, graph: fx.Graph, is_leaf: IsLeaf, constants: Mapping[str, Tensor]
) -> fx.GraphModule:
    """Return the module that computes a graph of `network`.

    Its leaves are the network's own; what contained them are plain modules of the same names, in
    the same order, with the same parameters and buffers. So its state dict has the same entries,
    whether or not the graph uses them.

    constants: tensors of the graph itself, which are not part of the state dict.
    """
    gm = fx.GraphModule(nn.Module(), fx.Graph(), class_name=type(network).__name__)
    tree = _skeleton(network, is_leaf, {})
    for table in ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set"):
        getattr(gm, table).update(getattr(tree, table))
    gm.training = network.training
    for name, value in vars(tree).items():
        if isinstance(value, Tensor):
            setattr(gm, name, value)
    for name, constant in constants.items():
        gm.register_buffer(name, constant, persistent=False)
    gm._deepcopy_hooks.append(partial(_keep_out_of_state, set(gm._non_persistent_buffers_set)))
    gm.graph = graph
    return gm


def _keep_out_of_state(names: set[str], copied: fx.GraphModule) -> None:
    """Do what torch.fx forgets in a deep copy: these buffers of the root are not saved."""
    copied._non_persistent_buffers_set.update(names)


def _skeleton(module: nn.Module, is_leaf: IsLeaf, made: dict[nn.Module, nn.Module]) -> nn.Module:
    if module in made:
        return made[module]
    bare = made[module] = nn.Module()
    bare.training = module.training
    for name, value in vars(module).items():
        if isinstance(value, Tensor):
            setattr(bare, name, value)
    bare._parameters.update(module._parameters)
    bare._buffers.update(module._buffers)
    bare._non_persistent_buffers_set.update(module._non_persistent_buffers_set)
    for name, child in module._modules.items():
        if child is not None and not is_leaf(child):
            child = _skeleton(child, is_leaf, made)
        bare._modules[name] = child
    return bare
