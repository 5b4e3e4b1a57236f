"""What overwrites its input: `x += y`, `x.relu_()`, `nn.ReLU(inplace=True)`.

A graph says who reads what from its edges, but what is overwritten changes for all that read it
later. So they read the result instead, which is the same tensor; then a graph may be reordered and
its values computed anew.
"""

import torch
from torch import fx, nn

from quantlab.graphs.functions import IN_PLACE
from quantlab.graphs.leaves import has_own_forward
from quantlab.graphs.paths import function_name, module_of
from quantlab.graphs.replace import has_hooks
from quantlab.quantizer import Quantizer

# Methods, attributes and functions whose result may be the input's memory.
# fmt: off
_ALIASING = frozenset((
    "T", "broadcast_to", "chunk", "contiguous", "cpu", "cuda", "data", "detach", "diagonal",
    "double", "dropout", "dropout2d", "expand", "expand_as", "feature_dropout", "flatten", "float",
    "getitem", "half", "mT", "movedim", "narrow", "permute", "ravel", "real", "reshape", "select",
    "slice", "split", "squeeze", "swapaxes", "t", "to", "transpose", "type", "type_as", "unbind",
    "unflatten", "unfold", "unsqueeze", "view", "view_as",
))
# fmt: on
_IN_PARTS = frozenset({"chunk", "split", "split_with_sizes", "tensor_split", "unbind"})


def overwritten_by(gm: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    """Return what a node overwrites, None if nothing that is known."""
    module = module_of(gm, node)
    if module is not None:
        is_overwriting = overwrites(module)
    elif node.op in ("call_method", "call_function"):
        is_overwriting = _is_in_place(node)
    else:
        return None
    source = node.args[0] if node.args else node.kwargs.get("input")
    return source if is_overwriting and isinstance(source, fx.Node) else None


def overwrites(module: nn.Module) -> bool:
    """Return whether a layer of torch overwrites its input itself, nothing that a hook makes."""
    is_plain = not has_own_forward(module) and not module._forward_pre_hooks
    return is_plain and getattr(module, "inplace", False) is True


def redirect_readers(gm: fx.GraphModule, node: fx.Node) -> bool:
    """Let what reads a node's overwritten input later read its result.

    Returns False, with nothing changed, if something may read it under another name, if it is the
    network's own, or if a hook may give something else than what is overwritten.
    """
    module, overwritten = module_of(gm, node), overwritten_by(gm, node)
    if overwritten is None or (module is not None and has_hooks(module)):
        return False
    order = {one: number for number, one in enumerate(gm.graph.nodes)}
    for alias in aliases(gm, overwritten, node):
        is_read = alias is not overwritten and any(order[n] > order[node] for n in alias.users)
        if is_read or alias.op == "get_attr":
            return False
    for user in list(overwritten.users):
        if order[user] > order[node]:
            user.replace_input_with(overwritten, node)
    return True


def keep_inputs(gm: fx.GraphModule) -> None:
    """Let layers, and functions by a copy, overwrite no input, in place; see `check_overwrites`.

    gm: of layers that nothing else calls.
    """
    for node in list(gm.graph.nodes):
        overwritten, module = overwritten_by(gm, node), module_of(gm, node)
        if overwritten is None:
            continue
        if module is not None:
            vars(module)["inplace"] = False
            continue
        with gm.graph.inserting_before(node):
            kept = gm.graph.call_method("clone", (overwritten,))
        kept.meta = dict(overwritten.meta)
        node.replace_input_with(overwritten, kept)
    gm.recompile()


def aliases(gm: fx.GraphModule, overwritten: fx.Node, until: fx.Node) -> set[fx.Node]:
    """Return the nodes before another one that may share memory with what it overwrites."""
    among = set()
    for node in gm.graph.nodes:
        if node is until:
            break
        among.add(node)
    found, others = {overwritten}, set[fx.Node]()
    waiting = [(overwritten, True)]  # a node, and whether all of it may be a part of its inputs
    while waiting:
        here, is_part = waiting.pop()
        above = here.all_input_nodes if _may_alias(gm, here) else []
        if is_part:
            others |= _other_parts(here)
        below = [user for user in here.users if _may_alias(gm, user)]
        for near, is_above in (*((n, True) for n in above), *((n, False) for n in below)):
            if near in among and near not in found and near not in others:
                found.add(near)
                waiting.append((near, is_above and is_part))
    return found


def _is_in_place(node: fx.Node) -> bool:
    if node.target in IN_PLACE or bool(node.kwargs.get("inplace", False)):
        return True
    if isinstance(node.target, torch._ops.OpOverload):
        return node.target._schema.is_mutable
    name = function_name(node)
    return name.endswith("_") and not name.endswith("__")


def _other_parts(node: fx.Node) -> set[fx.Node]:
    """Return the parts of a tensor beside this one, which share no memory with it."""
    if function_name(node) != "getitem" or not isinstance(node.args[1], int):
        return set()
    whole = node.args[0]
    if not isinstance(whole, fx.Node) or function_name(whole).strip(".") not in _IN_PARTS:
        return set()
    indices = {part: part.args[1] for part in whole.users if function_name(part) == "getitem"}
    return {
        part
        for part, index in indices.items()
        if isinstance(index, int) and index != node.args[1] and index >= 0 <= node.args[1]
    }


def _may_alias(gm: fx.GraphModule, node: fx.Node) -> bool:
    """Return whether a node's result may share memory with its inputs."""
    if node.op == "call_module":
        module = module_of(gm, node)
        passing = (nn.Identity, nn.Flatten, nn.Unflatten, nn.Dropout, nn.Dropout2d, Quantizer)
        return isinstance(module, passing) or getattr(module, "inplace", False) is True
    if node.op not in ("call_method", "call_function"):
        return False
    name = node.args[1] if node.target is getattr else function_name(node).strip(".")
    base = str(name).partition(".")[0]
    return base in _ALIASING or base.endswith("_") or _is_in_place(node)
