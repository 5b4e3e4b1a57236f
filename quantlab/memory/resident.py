"""The process that `memory.peak_bytes` starts: reads what to call, writes the bytes of its peak."""

import gc
import os
import pickle
import sys
from pathlib import Path

from quantlab.memory.allocator import give_back_freed_memory

_PROCESS = Path("/proc/self")
_RESET_PEAK = "5"  # see clear_refs in proc(5)


def main() -> None:
    """Run the pickled function of the standard input, then the step that it returns."""
    result = os.dup(1)
    os.dup2(2, 1)  # what the step prints is not the result
    step = pickle.load(sys.stdin.buffer)()
    gc.collect()
    give_back_freed_memory()
    (_PROCESS / "clear_refs").write_text(_RESET_PEAK)
    before = status_bytes("VmRSS")
    step()
    os.write(result, str(status_bytes("VmHWM") - before).encode())


def status_bytes(field: str) -> int:
    """Return a size of this process, such as VmRSS or VmHWM."""
    lines = (_PROCESS / "status").read_text().splitlines()
    sizes = dict(line.split(":", 1) for line in lines)
    return int(sizes[field].removesuffix("kB")) * 1024


if __name__ == "__main__":
    main()
