"""What malloc does with the memory that tensors on the CPU give back."""

import ctypes
import sys
from collections.abc import Callable

# See mallopt(3).
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_NEVER = 2**31 - 1


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
