"""Memory of large tensors on the CPU, in pages of their own.

The system clears a page when it is touched first: in pages of 4 KiB, as malloc takes them for the
largest arrays, that takes seven times as long as to fill the array with numbers. Here pages are
huge where the system has them; some of those that were freed last are kept for the next tensors of
their size, the others leave the process, and the heap gets no holes.
"""

import mmap
import os
import sys
from contextlib import suppress
from threading import RLock
from weakref import finalize

import numpy as np
import torch
from torch import Tensor

LEAST_BYTES = 2**20  # of a tensor with pages of its own
IDLE_BYTES = 2**25  # that are kept at most


def allocate(count: int, dtype: torch.dtype) -> Tensor:
    """Return `[count]` numbers of any values. Many of them cannot be resized."""
    num_bytes = count * dtype.itemsize
    if num_bytes < LEAST_BYTES or sys.platform != "linux":
        return torch.empty(count, dtype=dtype)
    pages = _idle.take(num_bytes)
    owner = np.frombuffer(pages, dtype=np.uint8)
    finalize(owner, _idle.keep, pages).atexit = False
    storage = torch.from_numpy(owner).untyped_storage()
    return torch.empty(0, dtype=dtype).set_(storage, 0, (count,), (1,))


class _Idle:
    """Pages that no tensor has, the last freed at the end. Tensors may end in any thread, and while
    this object is at work: the list may then change between any two steps."""

    def __init__(self) -> None:
        self._pages: list[mmap.mmap] = []
        self._lock = RLock()

    def take(self, num_bytes: int) -> mmap.mmap:
        """Return pages of this size."""
        with self._lock, suppress(ValueError):  # they have gone meanwhile
            for pages in reversed(tuple(self._pages)):
                if len(pages) == num_bytes:
                    self._pages.remove(pages)
                    return pages
        return _mapped(num_bytes)

    def keep(self, pages: mmap.mmap) -> None:
        """Keep pages, and let older ones go that are too many then."""
        with self._lock:
            self._pages.append(pages)
            while sum(map(len, self._pages)) > IDLE_BYTES:
                del self._pages[:1]

    def unlock(self) -> None:
        """Begin anew in a forked process, where a thread that had the lock does not exist."""
        self._pages, self._lock = [], RLock()


_idle = _Idle()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.unlock)


def _mapped(num_bytes: int) -> mmap.mmap:
    pages = mmap.mmap(-1, num_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError):  # a system without huge pages
        pages.madvise(mmap.MADV_HUGEPAGE)
    return pages
