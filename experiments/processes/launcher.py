"""Who started this process: horovodrun, torchrun, srun or none of them. No other module looks."""

import os
from typing import Literal

from experiments.processes import slurm
from quantlab.errors import UsageError

Launcher = Literal["horovod", "torch", "slurm", "single"]
LAUNCHERS: tuple[Launcher, ...] = ("horovod", "torch", "slurm", "single")


def detect_launcher(explicit: str | None = None) -> Launcher:
    """Return who started this process: `explicit`, else by the variables that launchers set.

    One process alone of srun is `single`, so that a shell of `srun --pty` is like any other.
    """
    if explicit is not None:
        for launcher in LAUNCHERS:
            if launcher == explicit:
                return launcher
        raise UsageError(f"--dist={explicit}: allowed are {', '.join(LAUNCHERS)}")
    if "HOROVOD_RANK" in os.environ:
        return "horovod"
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ and "MASTER_ADDR" in os.environ:
        return "torch"
    return "slurm" if slurm.num_tasks(os.environ) > 1 else "single"


def launched_rank() -> int:
    """Return this process's rank by the launcher's variables, before any connection."""
    rank = _number("HOROVOD_RANK", "RANK")
    return _of_srun("SLURM_PROCID") if rank is None else rank


def launched_local_rank() -> int:
    """Return this process's rank among those of its host, before any connection."""
    rank = _number("HOROVOD_LOCAL_RANK", "LOCAL_RANK", "HOROVOD_RANK", "RANK")
    return _of_srun("SLURM_LOCALID") if rank is None else rank


def _number(*names: str) -> int | None:
    """Return the first of these variables that is a number."""
    texts = [os.environ.get(name, "") for name in names]
    return next((int(text) for text in texts if text.isdecimal()), None)


def _of_srun(name: str) -> int:
    return (_number(name) or 0) if slurm.num_tasks(os.environ) > 1 else 0
