"""Memory that ends where a page begins that nothing may touch."""

import ctypes
import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NO_ACCESS = 0


def guarded(array: NDArray[Any]) -> NDArray[Any]:
    """Return a copy whose last byte is the last that may be touched: one more ends the process."""
    room = -(-array.nbytes // mmap.PAGESIZE) * mmap.PAGESIZE
    memory = mmap.mmap(-1, room + mmap.PAGESIZE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mprotect(ctypes.c_void_p(address + room), mmap.PAGESIZE, _NO_ACCESS):
        raise OSError(ctypes.get_errno(), "mprotect")
    copy = np.frombuffer(memory, array.dtype, array.size, room - array.nbytes)
    copy[:] = array
    return copy
