"""With what a network calls its layers in a training step."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from quantlab.errors import UsageError
from quantlab.graphs.shapes import Example, as_tuple
from quantlab.graphs.source import first_line


@dataclass(frozen=True, kw_only=True)
class Call:
    """The input of a call. is_kept: whether an operation outside the layer saves it for backward
    too, as a ReLU before the layer does."""

    shape: tuple[int, ...]
    dtype: torch.dtype = torch.float32
    is_channels_last: bool = False
    is_kept: bool = False

    def random(self, generator: torch.Generator) -> Tensor:
        """Return an input of this kind, of normal numbers."""
        x = torch.randn(self.shape, generator=generator).to(self.dtype)
        return x.contiguous(memory_format=torch.channels_last) if self.is_channels_last else x


def layer_calls(
    network: nn.Module, layers: Mapping[str, nn.Module], example: Example
) -> dict[str, tuple[Call, ...]]:
    """Return the calls of each layer, in order, in a forward pass in training mode.

    The pass changes the network's state: give it a copy. Raises UsageError if the network does not
    take the example.
    """
    watch = _Watch()
    with watch.watching(layers):
        try:
            with torch.enable_grad():
                network.train()(*as_tuple(example))
        except (RuntimeError, TypeError, ValueError, IndexError) as error:
            raise UsageError(
                f"input: {_shapes(example)} given, which the network does not take: "
                f"{first_line(error)}"
            ) from error
    return {name: tuple(watch.calls_of(name)) for name in layers}


class _Watch:
    """inputs: of calls, with the layer's name; saved: tensors, with the name of the layer that was
    running. All stay alive, so that no address is used twice."""

    def __init__(self) -> None:
        self.inputs: list[tuple[str, Tensor]] = []
        self.saved: list[tuple[str | None, Tensor]] = []
        self.running: str | None = None

    @contextmanager
    def watching(self, layers: Mapping[str, nn.Module]) -> Iterator[None]:
        with ExitStack() as stack:
            for name, layer in layers.items():
                before = layer.register_forward_pre_hook(
                    partial(self._enter, name), with_kwargs=True
                )
                after = layer.register_forward_hook(self._leave, always_call=True)
                stack.callback(before.remove)
                stack.callback(after.remove)
            hooks = torch.autograd.graph.saved_tensors_hooks(self._save, lambda tensor: tensor)
            stack.enter_context(hooks)
            yield

    def calls_of(self, name: str) -> Iterator[Call]:
        for called, x in self.inputs:
            if called == name:
                yield Call(
                    shape=tuple(x.shape),
                    dtype=x.dtype,
                    is_channels_last=_is_channels_last(x),
                    is_kept=self._is_kept(x, name),
                )

    def _is_kept(self, x: Tensor, name: str) -> bool:
        """Return whether anything but a layer saves the memory of its input."""
        address = x.untyped_storage().data_ptr()
        return any(
            saver != name and tensor.untyped_storage().data_ptr() == address
            for saver, tensor in self.saved
        )

    def _enter(self, name: str, _: nn.Module, args: tuple[Any, ...], kwargs: Any) -> None:
        self.running = name
        self.inputs.append((name, args[0] if args else kwargs["input"]))

    def _leave(self, *_: Any) -> None:
        self.running = None

    def _save(self, tensor: Tensor) -> Tensor:
        self.saved.append((self.running, tensor))
        return tensor


def _is_channels_last(x: Tensor) -> bool:
    if x.ndim != 4 or x.is_contiguous():
        return False
    return x.is_contiguous(memory_format=torch.channels_last)


def _shapes(example: Example) -> str:
    return ", ".join(
        str(list(x.shape)) if isinstance(x, Tensor) else str(x) for x in as_tuple(example)
    )
