"""Memory for what lives within one call, kept for the next: fresh pages cost more than the work."""

from threading import local

import torch
from torch import Tensor

from quantlab.memory.pages import allocate


class _Kept(local):
    def __init__(self) -> None:
        self.memory: dict[str, Tensor] = {}


_kept = _Kept()


def scratch(name: str, count: int, dtype: torch.dtype) -> Tensor:
    """Return `[count]` numbers of any value, valid until this thread asks for `name` again."""
    num_bytes = count * dtype.itemsize
    found = _kept.memory.get(name)
    if found is None or len(found) < num_bytes:
        _kept.memory.pop(name, None)
        found = _kept.memory[name] = allocate(num_bytes, torch.uint8)
    return found[:num_bytes].view(dtype)


def release() -> None:
    """Give this thread's memory back."""
    _kept.memory.clear()
