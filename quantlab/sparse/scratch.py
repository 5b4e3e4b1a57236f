"""Memory for what lives within one call, kept for the next: fresh pages cost more than the work."""

from threading import local

import torch
from torch import Tensor


class _Kept(local):
    def __init__(self) -> None:
        self.tensors: dict[tuple[str, torch.dtype], Tensor] = {}


_kept = _Kept()


def scratch(name: str, count: int, dtype: torch.dtype) -> Tensor:
    """Return `[count]` numbers of any value, valid until this thread asks for `name` again."""
    found = _kept.tensors.get((name, dtype))
    if found is None or len(found) < count:
        _kept.tensors.pop((name, dtype), None)
        found = _kept.tensors[name, dtype] = torch.empty(count, dtype=dtype)
    return found[:count]


def release() -> None:
    """Give this thread's memory back."""
    _kept.tensors.clear()
