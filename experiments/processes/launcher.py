"""Who started this process: horovodrun, torchrun or neither. No other module looks for it."""

import os
from typing import Literal

from quantlab.errors import UsageError

Launcher = Literal["horovod", "torch", "single"]
LAUNCHERS: tuple[Launcher, ...] = ("horovod", "torch", "single")


def detect_launcher(explicit: str | None = None) -> Launcher:
    """Return who started this process: `explicit`, else by the variables that launchers set."""
    if explicit is not None:
        for launcher in LAUNCHERS:
            if launcher == explicit:
                return launcher
        raise UsageError(f"--dist={explicit}: allowed are {', '.join(LAUNCHERS)}")
    if "HOROVOD_RANK" in os.environ:
        return "horovod"
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ and "MASTER_ADDR" in os.environ:
        return "torch"
    return "single"


def launched_rank() -> int:
    """Return this process's rank by the launcher's variables, before any connection."""
    for name in ("HOROVOD_RANK", "RANK"):
        if os.environ.get(name, "").isdecimal():
            return int(os.environ[name])
    return 0
