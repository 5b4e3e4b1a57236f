"""Layer by layer: in which order a network calls its layers, with what, and what follows."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from quantlab.algorithms.after_training.modes import evaluating
from quantlab.algorithms.layers import carries, through, transposed
from quantlab.errors import UsageError
from quantlab.graphs.weights import LAYERS, TRANSPOSED

_RELU, _RELU_IN_PLACE = torch.ops.aten.relu.default, torch.ops.aten.relu_.default


class _Reached(BaseException):
    """Ends a forward pass that has gone far enough. A torch.fx graph would print an Exception."""


def call_order(
    network: nn.Module, layers: Mapping[str, nn.Module], inputs: Tensor
) -> dict[str, int]:
    """Return how often a network calls each layer, in the order of the first calls.

    Raises UsageError for a layer that is not called at all.
    """
    calls: dict[str, int] = {}

    def count(name: str) -> Any:
        def hook(layer: nn.Module, args: object) -> None:
            calls[name] = calls.get(name, 0) + 1

        return hook

    handles = [layer.register_forward_pre_hook(count(name)) for name, layer in layers.items()]
    try:
        with evaluating(network):
            network(inputs)
    finally:
        for handle in handles:
            handle.remove()
    for name in layers:
        if name not in calls:
            raise UsageError(
                f"{name}: not called by the network, so nothing is known of its inputs"
            )
    return calls


def inputs_of(
    network: nn.Module, layer: nn.Module, num_calls: int, batches: Iterable[Tensor]
) -> Iterator[Tensor]:
    """Yield what a layer computes with in each call, behind its input quantizer.

    Passes end with the last of the `num_calls` calls.
    """
    seen: list[Tensor] = []

    def hook(layer: nn.Module, args: tuple[Tensor, ...]) -> None:
        seen.append(through(carries(layer).get("input"), args[0]))
        if len(seen) == num_calls:
            raise _Reached

    for inputs in batches:
        seen.clear()
        with evaluating(network):
            handle = layer.register_forward_pre_hook(hook)
            try:
                network(inputs)
            except _Reached:
                pass
            finally:
                handle.remove()
        yield from seen


def respond(layer: nn.Module, x: Tensor, weight: Tensor) -> Tensor:
    """Return what a layer would compute with another weight, before its output quantizer; with a
    gradient for that weight only."""
    assert isinstance(layer, LAYERS + TRANSPOSED)
    bias = None if layer.bias is None else layer.bias.detach()
    if isinstance(layer, TRANSPOSED):
        return transposed(layer, x, weight, bias)
    if isinstance(layer, nn.Linear):
        return functional.linear(x, weight, bias)
    result: Tensor = layer._conv_forward(x, weight, bias)
    return result


def present_weight(layer: nn.Module) -> Tensor:
    """Return the weight that a layer computes with, as its quantizer lets it pass."""
    return through(carries(layer).get("weight"), layer.get_parameter("weight")).detach()


def before_relu(
    network: nn.Module, layers: Mapping[str, nn.Module], inputs: Tensor
) -> frozenset[str]:
    """Return the layers whose output is read by a ReLU, module or function, and nothing else."""
    readers = _Readers()

    def watch(name: str) -> Any:
        def hook(layer: nn.Module, args: object, output: Tensor) -> None:
            readers.watch(name, output)

        return hook

    handles = [layer.register_forward_hook(watch(name)) for name, layer in layers.items()]
    try:
        with evaluating(network), readers:
            results = network(inputs)
    finally:
        for handle in handles:
            handle.remove()
    for result in tree_leaves(results):
        readers.read(result, None)
    return frozenset(name for name in layers if readers.operations[name] == {_RELU})


class _Readers(TorchDispatchMode):
    """Notes which operations read some tensors. operations: by the tensor's name."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's has no annotations
        self.operations: dict[str, set[object]] = {}
        # Tensors are kept, so that no other gets the id of one.
        self._watched: dict[int, tuple[str, Tensor]] = {}

    def watch(self, name: str, tensor: Tensor) -> None:
        self.operations.setdefault(name, set())
        self._watched[id(tensor)] = (name, tensor)

    def read(self, value: object, operation: object) -> None:
        if id(value) not in self._watched:
            return
        name, _ = self._watched[id(value)]
        if operation is _RELU_IN_PLACE and not self.operations[name]:
            operation = _RELU
            del self._watched[id(value)]  # what reads it now reads the ReLU's output
        self.operations[name].add(operation)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for value in tree_leaves((args, kwargs or {})):
            self.read(value, func)
        return func(*args, **(kwargs or {}))
