"""How the leaves of a network are called while it runs."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

IsLeaf = Callable[[nn.Module], bool]


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call of a leaf: with how many arguments, and whether just tensors went in and one came
    out."""

    num_inputs: int
    is_plain: bool


Calls = dict[nn.Module, list[Call]]


@contextmanager
def watching(network: nn.Module, is_leaf: IsLeaf) -> Iterator[Calls]:
    """Note the calls of each leaf, in order, for as long as the context lasts."""
    calls: Calls = {}

    # torch.export calls copies of modules that have several names: these have the same hooks.
    def note(module: nn.Module, _: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        is_plain = not kwargs and all(isinstance(x, Tensor) for x in (*args, output))
        calls.setdefault(module, []).append(Call(num_inputs=len(args), is_plain=is_plain))

    with ExitStack() as stack:
        for module in dict.fromkeys(_outermost(network, is_leaf)):
            handle = module.register_forward_hook(partial(note, module), with_kwargs=True)
            stack.callback(handle.remove)
        yield calls


def _outermost(module: nn.Module, is_leaf: IsLeaf) -> Iterator[nn.Module]:
    """Yield the leaves within a module that are not within another one."""
    for child in module.children():
        if is_leaf(child):
            yield child
        else:
            yield from _outermost(child, is_leaf)
