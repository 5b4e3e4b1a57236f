"""Sees whether what a recorded step took for granted is still so.

A recorded step repeats the same operations on the same addresses: it knows nothing of a Python
attribute that has changed since, or of a tensor that has been replaced. Tensors that are written in
place need no watching. Of objects that are no modules, only those of our own packages and of
problems are looked into.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from experiments.training.assembly import Assembly

_PACKAGES = ("quantlab.", "experiments.", "problems.")
_DEPTH = 4
_RATES = ("params", "lr", "initial_lr")  # of a group; rates are tensors in a recorded step
_PLAIN = (bool, int, str, bytes, type(None))


class Watch:
    """Looks at networks, losses, optimizers and averages."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._seen: dict[str, object] = {}

    def look(self) -> str | None:
        """Return the name of something that has changed since the last look, None if nothing
        has."""
        before, self._seen = self._seen, dict(_marks(self._assembly))
        if self._seen == before:
            return None
        names = [*self._seen, *before]
        return next(n for n in names if self._seen.get(n, self) != before.get(n, self))


def _marks(assembly: Assembly) -> Iterator[tuple[str, object]]:
    for root, module in (("network", assembly.network), ("loss", assembly.loss)):
        for path, part in module.named_modules():
            yield from _marks_of_module(f"{root}.{path}" if path else root, part)
    for index, group in enumerate(assembly.optimizer.param_groups):
        for name, value in group.items():
            if name not in _RATES:
                yield f"optimizer: {name} of group {index}", _mark(value, _DEPTH)
    for index, state in enumerate(assembly.optimizer.state.values()):
        for name, value in state.items():
            yield f"optimizer: {name} of parameter {index}", _mark(value, _DEPTH)
    if assembly.ema is not None:
        for name, value in assembly.ema.state_dict().items():
            yield f"average of {name}", _mark(value, _DEPTH)


def _marks_of_module(path: str, module: nn.Module) -> Iterator[tuple[str, object]]:
    unseen = getattr(module, "attributes_without_effect", ())
    for name, value in vars(module).items():
        if name not in unseen:
            yield f"{path}.{name}", _mark(value, _DEPTH)


def _mark(value: Any, depth: int) -> object:
    """Return what is equal as long as a value stays as it is."""
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, float):
        return value if value == value else "nan"
    if isinstance(value, Tensor):
        return (value.data_ptr(), value.shape, value.stride(), value.dtype, value.requires_grad)
    if depth == 0 or isinstance(value, nn.Module):
        return id(value)
    if isinstance(value, list | tuple | set | frozenset):
        return tuple(_mark(one, depth - 1) for one in value)
    if isinstance(value, Mapping):
        return tuple((_mark(k, depth - 1), _mark(v, depth - 1)) for k, v in value.items())
    if type(value).__module__.startswith(_PACKAGES) and hasattr(value, "__dict__"):
        marks = tuple((name, _mark(one, depth - 1)) for name, one in vars(value).items())
        return (id(value), marks)
    return id(value)
