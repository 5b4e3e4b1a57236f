"""A process at work: its launcher, rank, device and threads, and what it may print."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch

from experiments.processes import slurm
from experiments.processes.communicator import TIMEOUT, Communicator, Single, connect
from experiments.processes.launcher import detect_launcher
from experiments.progress import console
from quantlab.errors import UsageError
from quantlab.memory.allocator import keep_freed_memory

Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True, kw_only=True)
class Session:
    """Where this process stands among those of its run."""

    communicator: Communicator
    device: torch.device
    threads: int

    @property
    def say(self) -> Callable[[str], None]:
        """Prints a line, on rank 0 alone."""
        return _print if self.communicator.is_root else _nothing

    def describe(self) -> str:
        communicator = self.communicator
        launchers = {
            "horovod": "horovodrun",
            "torch": "torchrun",
            "slurm": "srun",
            "single": "python",
        }
        plural = "es" if communicator.size > 1 else ""
        device = (
            torch.cuda.get_device_name(self.device)
            if self.device.type == "cuda"
            else f"CPU, {self.threads} threads"
        )
        return (
            f"{communicator.size} process{plural} by {launchers[communicator.launcher]}, {device}"
        )


def open_session(
    dist: str | None,
    *,
    device: Device,
    threads: int | None,
    is_deterministic: bool,
    timeout: int = TIMEOUT,
) -> Session:
    """Join the run's processes and set device, threads and determinism.

    dist: who launched them, as of `detect_launcher`. threads: of each process; None to share the
    cores among the host's, or as srun was asked. timeout: in seconds, how long one waits for
    another. Raises UsageError where there is no such launcher or device.
    """
    communicator = connect(detect_launcher(dist), timeout)
    chosen = communicator.on_all(lambda: _device(device, communicator))
    threads = threads or _num_cores(communicator)
    # Launchers differ in what they set; sums depend on the number of threads.
    torch.set_num_threads(threads)
    if is_deterministic != torch.are_deterministic_algorithms_enabled():
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(is_deterministic)
    if chosen.type == "cpu":
        keep_freed_memory()
    torch.backends.cudnn.benchmark = chosen.type == "cuda" and not is_deterministic
    return Session(communicator=communicator, device=chosen, threads=threads)


def local_session() -> Session:
    """Return the session of a command that runs in one process without a configuration."""
    return Session(
        communicator=Single(), device=torch.device("cpu"), threads=torch.get_num_threads()
    )


def _num_cores(communicator: Communicator) -> int:
    """Return the cores of each process of this host."""
    asked = slurm.num_cores(os.environ) if communicator.launcher == "slurm" else None
    return asked or max(1, len(os.sched_getaffinity(0)) // communicator.local_size)


def _device(asked: Device, communicator: Communicator) -> torch.device:
    has_gpu = torch.cuda.is_available()
    if asked == "cuda" and not has_gpu:
        raise UsageError(
            "experiment.device: 'cuda', but torch finds no GPU; allowed here: cpu, auto"
        )
    if asked == "cpu" or not has_gpu:
        return torch.device("cpu")
    number = 0 if communicator.has_own_gpu else communicator.local_rank
    if number >= torch.cuda.device_count():
        raise UsageError(
            f"{communicator.local_size} processes on a host with {torch.cuda.device_count()} GPUs; "
            "start one process a GPU, or set experiment.device to cpu"
        )
    device = torch.device("cuda", number)
    torch.cuda.set_device(device)
    return device


def _print(line: str) -> None:
    console.print(line, markup=False)


def _nothing(line: str) -> None:
    pass
