"""Put modules in the place of the steps of a graph."""

from collections.abc import Iterator, Mapping, Sequence
from operator import getitem
from typing import TypeGuard

from torch import fx, nn

from quantlab.generation.execution.mode import ExecutionMode
from quantlab.generation.execution.modules import layer_module, table_module
from quantlab.generation.execution.steps import Convolve, Step
from quantlab.generation.execution.table import Table
from quantlab.graphs.paths import add_module


def arrange(gm: fx.GraphModule, steps: Sequence[Step], modes: Mapping[str, ExecutionMode]) -> None:
    """Let neighboring fused steps be one table, and each other layer a module of its own, in place.
    Steps beside no fused layer stay the nodes that they are.

    modes: of each layer, by its path.
    """
    instead: dict[fx.Node, fx.Node] = {}
    for run in list(_runs(gm, steps, modes)):
        first, (inputs, outputs) = run[0], _ends(run)
        if _is_layer(first) and not _is_fused(first, modes):
            inputs = first.inputs  # the residual may be the input
            module = layer_module(first, modes[first.layer.name])
        else:
            module = table_module(run, inputs, outputs)
        instead.update(_put(gm, module, [instead.get(node, node) for node in inputs], outputs))
    for node in reversed([node for step in steps for node in step.nodes]):
        if not node.users:
            gm.graph.erase_node(node)
    gm.graph.lint()
    gm.recompile()
    gm.delete_all_unused_submodules()


def _runs(
    gm: fx.GraphModule, steps: Sequence[Step], modes: Mapping[str, ExecutionMode]
) -> Iterator[list[Step]]:
    """Yield the steps of each new module. Whatever is no step ends a run."""
    ending = {step.nodes[-1]: step for step in steps}
    within = {node for step in steps for node in step.nodes[:-1]}
    run: list[Step] = []
    for node in gm.graph.nodes:
        if node in within or node.op in ("placeholder", "get_attr"):
            continue
        step = ending.get(node)
        if step is not None and (not _is_layer(step) or _is_fused(step, modes)):
            run.append(step)
            continue
        if any(_is_layer(one) for one in run):
            yield run
        if step is not None:
            yield [step]
        run = []


def _is_layer(step: Step) -> TypeGuard[Convolve]:
    return isinstance(step, Convolve) and not step.is_norm


def _is_fused(step: Convolve, modes: Mapping[str, ExecutionMode]) -> bool:
    return modes[step.layer.name] == "fused"


def _ends(run: Sequence[Step]) -> tuple[list[fx.Node], list[fx.Node]]:
    """Return what a run reads and what others read of it."""
    inside = {node for step in run for node in step.nodes}
    outputs = [node for step in run if (node := step.nodes[-1]).users.keys() - inside]
    inputs = [node for step in run for node in step.inputs if node not in inside]
    return list(dict.fromkeys(inputs)), outputs


def _put(
    gm: fx.GraphModule, module: nn.Module, inputs: Sequence[fx.Node], outputs: Sequence[fx.Node]
) -> Iterator[tuple[fx.Node, fx.Node]]:
    """Put a module behind the last of the outputs that it computes, and let it be read instead.
    Yield each output and the node in its place."""
    name = "table" if isinstance(module, Table) else f"{outputs[-1].name}_layer"
    path = add_module(gm, name, module)
    with gm.graph.inserting_after(outputs[-1]):
        call = gm.graph.call_module(path, tuple(inputs))
    places = [call]
    if len(outputs) > 1:
        for number in reversed(range(len(outputs))):
            with gm.graph.inserting_after(call):
                places.insert(1, gm.graph.call_function(getitem, (call, number)))
        del places[0]
    for node, place in zip(outputs, places, strict=True):
        place.meta = dict(node.meta)
        node.replace_all_uses_with(place)
        yield node, place
