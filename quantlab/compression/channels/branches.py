"""Branches that are constant become a tensor, and their layers go."""

from torch import fx, nn

from quantlab.compression.channels.constants import Constants, along
from quantlab.compression.channels.kinds import Kind
from quantlab.compression.channels.labels import Channels
from quantlab.graphs.match import inputs_of
from quantlab.graphs.operations import Add
from quantlab.graphs.paths import fresh_path, module_of
from quantlab.graphs.shapes import shape_of
from quantlab.quantizer import Quantizer


def drop_branches(
    gm: fx.GraphModule, channels: Channels, constants: dict[fx.Node, Constants]
) -> bool:
    """Put a parameter `[1, C, 1, ...]` in the place of a branch that is constant in all channels,
    where it joins another one; nothing where it adds 0. In place; returns whether any branch went.

    What only the branch needed goes too, with its modules. A network with quantizers stays as it
    is: its sums are rounded where integers are added.
    """
    if any(isinstance(module, Quantizer) for module in gm.modules()):
        return False
    found = [
        (node, branch)
        for node, kind in channels.kinds.items()
        if kind is Kind.JOIN
        for branch in _constant_branches(channels, constants, node)
    ]
    for node, branch in reversed(found):
        if not node._erased:  # with a branch around it
            _replace(gm, channels, constants, node, branch)
            _erase(gm, branch)
    gm.recompile()
    return bool(found)


def _constant_branches(
    channels: Channels, constants: dict[fx.Node, Constants], node: fx.Node
) -> list[fx.Node]:
    """Return the one input of a join that is constant and made by layers for it alone."""
    sources = inputs_of(node)
    are_constant = [s in constants and bool(constants[s].is_known.all()) for s in sources]
    if len(sources) != 2 or sum(are_constant) != 1:
        return []
    other, branch = sources if are_constant[1] else reversed(sources)
    is_made = channels.kinds[branch] is not Kind.SOURCE and len(branch.users) == 1
    return [branch] if is_made and shape_of(other) == shape_of(node) else []


def _replace(
    gm: fx.GraphModule,
    channels: Channels,
    constants: dict[fx.Node, Constants],
    node: fx.Node,
    branch: fx.Node,
) -> None:
    values, shape = constants[branch].values, shape_of(branch)
    assert shape is not None
    if isinstance(module_of(gm, node), Add) and not bool(values.any()):
        (other,) = (source for source in inputs_of(node) if source is not branch)
        node.replace_all_uses_with(other)
        gm.graph.erase_node(node)
        gm.delete_submodule(str(node.target))
        return
    like = next(gm.parameters())
    name = fresh_path(gm, f"{node.name}_constant")
    tensor = along(channels.tensors[branch], values, len(shape)).to(like.device, like.dtype)
    gm.register_parameter(name, nn.Parameter(tensor.clone()))
    with gm.graph.inserting_before(node):
        constant = gm.graph.get_attr(name)
    constant.meta = {"shape": tuple(tensor.shape), "dtype": tensor.dtype}
    node.replace_input_with(branch, constant)


def _erase(gm: fx.GraphModule, node: fx.Node) -> None:
    """Erase a node that nothing reads any more, with its module, and what only it had read."""
    if node.users or node.op == "placeholder":
        return
    sources, target = node.all_input_nodes, str(node.target)
    gm.graph.erase_node(node)
    if node.op == "call_module" and not gm.graph.find_nodes(op="call_module", target=target):
        gm.delete_submodule(target)
    elif node.op == "get_attr" and not gm.graph.find_nodes(op="get_attr", target=target):
        path, _, name = target.rpartition(".")
        if not gm.graph.find_nodes(op="call_module", target=path):
            delattr(gm.get_submodule(path), name)
    for source in sources:
        _erase(gm, source)
