"""Memory of large tensors on the CPU: how it is taken, and what happens when it is given back.

The system clears each page when it is touched first. In pages of 4 KiB that takes seven times as
long as to fill an array with numbers.
"""

import ctypes
import mmap
import sys
from collections.abc import Callable
from contextlib import suppress

import torch
from torch import Tensor

# See mallopt(3).
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_NEVER = 2**31 - 1
_LEAST_BYTES = 2**20  # of a tensor with pages of its own


def allocate(count: int, dtype: torch.dtype) -> Tensor:
    """Return `[count]` numbers of any values. If they are many, they have pages of their own, huge
    ones where the system has them, which leave the process with the tensor: the heap gets no
    holes."""
    num_bytes = count * dtype.itemsize
    if num_bytes < _LEAST_BYTES or sys.platform != "linux":
        return torch.empty(count, dtype=dtype)
    pages = mmap.mmap(-1, num_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError):  # a system without huge pages
        pages.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(pages, dtype=dtype)


def keep_freed_memory() -> bool:
    """Let this process keep freed memory for its next tensors; return whether it will.

    glibc takes each array of 32 MiB or more from the system and gives it back when it is freed, so
    that every step of a training pays for its pages anew: the system clears each of 4 KiB when it
    is touched first. On other C libraries nothing changes.
    """
    mallopt = _of_glibc("mallopt")
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, _NEVER))


def give_back_freed_memory() -> bool:
    """Give the memory that this process has freed back to the system; return whether glibc could
    give any."""
    trim = _of_glibc("malloc_trim")
    return trim is not None and bool(trim(0))


def _of_glibc(name: str) -> Callable[..., int] | None:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
