"""Shapes: what size the tensor behind each node of a graph has."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, fx, nn

from quantlab.errors import UsageError
from quantlab.graphs.paths import function_name, module_of
from quantlab.graphs.source import first_line

Example = Tensor | tuple[Any, ...]


def propagate_shapes(gm: fx.GraphModule, example: Example) -> None:
    """Write into `node.meta["shape"]` and `["dtype"]` what each node gives for an example.

    Nodes that give several tensors get a tuple of each. Runs in evaluation mode and changes neither
    state nor example. Raises UsageError if the network does not take the example.
    """
    recorder = _Recorder(gm)
    arguments = [x.clone() if isinstance(x, Tensor) else x for x in as_tuple(example)]
    try:
        with evaluating(gm), torch.no_grad():
            recorder.run(*arguments)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        node = recorder.current
        module = module_of(gm, node)
        what = type(module).__name__ if module is not None else function_name(node)
        shapes = ", ".join(str(list(shape_of(n) or "?")) for n in node.all_input_nodes)
        raise UsageError(
            f"example: node '{node.name}' ({what}) does not take {shapes}: {first_line(error)}"
        ) from error


def as_tuple(example: Example) -> tuple[Any, ...]:
    return example if isinstance(example, tuple) else (example,)


def shape_of(node: fx.Node) -> tuple[int, ...] | None:
    """Return the shape of the tensor behind a node, None if it is not known."""
    shape = node.meta.get("shape")
    is_shape = isinstance(shape, tuple) and all(isinstance(size, int) for size in shape)
    return shape if is_shape else None


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put all modules in evaluation mode, and back into the mode that each was in."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, is_training in modes:
            module.training = is_training


class _Recorder(fx.Interpreter):
    current: fx.Node

    def run_node(self, n: fx.Node) -> Any:
        self.current = n
        result = super().run_node(n)
        n.meta["shape"] = _each(result, lambda tensor: tuple(tensor.shape))
        n.meta["dtype"] = _each(result, lambda tensor: tensor.dtype)
        return result


def _each(result: Any, ask: Callable[[Tensor], Any]) -> Any:
    if isinstance(result, Tensor):
        return ask(result)
    return tuple(_each(part, ask) for part in result) if isinstance(result, list | tuple) else None
