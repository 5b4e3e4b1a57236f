"""Modularize: a module for each function that computes on values.

    F.relu(x), x + y, torch.cat([x, y], 1)     become     relu, add, concat

so that each value has a module to name it, to match it by type and to carry its quantizer. A new
module lies below the one in whose forward pass the function was called: `layer1.0.add`,
`layer1.0.relu_1`. Functions that only rearrange (view, permute, chunk, `x[0]`, ...), that the table
in `functions` does not know, or that compute on sizes, stay.

A function that overwrites its input (`x += y`, `F.relu(x, inplace=True)`) becomes a module that
does not; what reads the input later reads the result instead, as it did before, behind a layer that
overwrites it too. Where the input may be seen under another name (a view of it, say) the function
stays.

Dropout follows `.train()` and `.eval()` if the code that called it looks at `self.training`; one
that is always on, or never, stays a function.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import fx, nn

from quantlab.graphs.functions import BY_TARGET, IGNORED, NUMPY_NAMES, Functional
from quantlab.graphs.overwrites import overwritten_by, redirect_readers
from quantlab.graphs.paths import add_module, enclosing_path, function_name, join
from quantlab.graphs.report import reported

# What tracing writes into a node's meta: whether the calling code looks at `self.training`.
FOLLOWS_TRAINING = "follows_training"

_SIZE_METHODS = frozenset({"size", "dim", "ndimension", "numel", "nelement", "stride", "item"})
_SIZE_FUNCTIONS = (torch.ops.aten.sym_size.int, torch.ops.aten.sym_numel.default)
_SIZE_ATTRIBUTES = frozenset({"shape", "ndim", "dtype", "device", "is_cuda", "requires_grad"})
_ARITHMETIC = ("_operator", "builtins", "math")


@reported("modularize")
def modularize(gm: fx.GraphModule) -> Iterator[str]:
    """Replace functions by modules, in place."""
    numbers = number_nodes(gm.graph)

    def is_tensor(x: Any) -> bool:
        return isinstance(x, fx.Node) and x not in numbers

    for node in list(gm.graph.nodes):
        is_overwriting = overwritten_by(gm, node) is not None and node not in numbers
        is_redirected = is_overwriting and redirect_readers(gm, node)
        line = BY_TARGET.get(node.target) if node.op in ("call_function", "call_method") else None
        if line is None or node in numbers:
            continue
        if _ignores_mode(gm, line, node):
            continue
        found = module_for(line, node.args, node.kwargs, is_tensor)
        if found is None or (is_overwriting and not is_redirected):
            continue
        module, inputs = found
        path = add_module(gm, join(enclosing_path(node), line.name), module)
        module.train(_is_enclosing_training(gm, node))
        with gm.graph.inserting_before(node):
            new = gm.graph.call_module(path, inputs)
        new.meta = {k: v for k, v in node.meta.items() if k != FOLLOWS_TRAINING}
        node.replace_all_uses_with(new)
        gm.graph.erase_node(node)
        yield f"{path}: {type(module).__name__} instead of {function_name(node)}"


def number_nodes(graph: fx.Graph) -> set[fx.Node]:
    """Return the nodes that are sizes and other numbers rather than tensors."""
    numbers: set[fx.Node] = set()
    for node in graph.nodes:
        is_size = (
            (node.op == "call_method" and node.target in _SIZE_METHODS)
            or (node.op == "call_function" and node.target in _SIZE_FUNCTIONS)
            or (node.target is getattr and node.args[1] in _SIZE_ATTRIBUTES)
        )
        is_derived = (
            node.op == "call_function"
            and node.all_input_nodes
            and getattr(node.target, "__module__", "") in _ARITHMETIC
            and numbers.issuperset(node.all_input_nodes)
        )
        if is_size or is_derived:
            numbers.add(node)
    return numbers


def module_for(
    line: Functional,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    is_tensor: Callable[[Any], bool],
) -> tuple[nn.Module, tuple[Any, ...]] | None:
    """Return the module for a call of a line's function and its inputs; None if there is none.

    is_tensor: whether an argument is a tensor, or stands for one; others are numbers, tuples of
    numbers and the like, or stand for some.
    """
    given = _arguments(line, args, kwargs)
    if given is None:
        return None
    inputs = given.pop("inputs")
    for name, value in line.needed.items():
        if given.pop(name, value) != value:
            return None
    kept = {k: _plain(v) for k, v in given.items() if k not in IGNORED and v not in (None, [], ())}
    leaves = torch.utils._pytree.tree_leaves(kept)
    if any(isinstance(leaf, fx.Node) or is_tensor(leaf) for leaf in leaves):
        return None
    if inputs and all(is_tensor(x) for x in inputs):
        renamed = {line.renamed.get(name, name): value for name, value in kept.items()}
        return line.cls(**renamed), tuple(inputs)
    return _with_constant(line, inputs, is_tensor) if line.num_inputs == 2 else None


def is_always_on(line: Functional, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Return whether a call's arguments turn a dropout on."""
    given = _arguments(line, args, kwargs)
    return given is not None and given.get("training") is True


def _with_constant(
    line: Functional, inputs: list[Any], is_tensor: Callable[[Any], bool]
) -> tuple[nn.Module, tuple[Any, ...]] | None:
    left, right = inputs
    if is_tensor(left) and line.with_constant is not None and _is_number(right):
        return line.with_constant(-right if line.is_negated else right), (left,)
    if is_tensor(right) and line.from_constant is not None and _is_number(left):
        return line.from_constant(left), (right,)
    return None


def _is_number(x: Any) -> bool:
    return isinstance(x, int | float) and not isinstance(x, bool)


def _arguments(
    line: Functional, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Return the arguments of a call by name, its inputs as `inputs`; None if one is unknown."""
    given = {NUMPY_NAMES.get(name, name): value for name, value in kwargs.items()}
    positional = list(args)
    names = ["input", "other"] if line.num_inputs == 2 else ["input"]
    if line.num_inputs is None:
        names = ["tensors"]
    inputs = [positional.pop(0) if positional else given.pop(name, None) for name in names]
    if line.num_inputs is None:
        inputs = list(inputs[0]) if isinstance(inputs[0], list | tuple) else []
    if line.is_reversed:
        inputs.reverse()
    if len(positional) > len(line.parameters):
        return None
    named = dict(zip(line.parameters, positional, strict=False))
    if not set(given) <= {*line.parameters, *line.needed, *IGNORED}:
        return None
    return {**line.defaults, **named, **given, "inputs": inputs}


def _ignores_mode(gm: fx.GraphModule, line: Functional, node: fx.Node) -> bool:
    """Return whether a dropout is on or off whatever the mode."""
    given = _arguments(line, node.args, node.kwargs)
    if given is None or "training" not in given:
        return False
    is_mode = given["training"] == _is_enclosing_training(gm, node)
    return not (is_mode and node.meta.get(FOLLOWS_TRAINING, False))


def _is_enclosing_training(gm: fx.GraphModule, node: fx.Node) -> bool:
    try:
        return gm.get_submodule(enclosing_path(node)).training
    except AttributeError:
        return gm.training


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
