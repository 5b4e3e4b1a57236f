"""How the processes of a run talk: horovodrun, torchrun, srun or a single process, one meaning.

`experiments/processes/launcher.py` knows which launcher started the program.
"""

import os
import pickle
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Literal, TypeVar, cast

import torch
from torch import Tensor

from experiments.processes.launcher import Launcher
from experiments.processes.slurm import as_torchrun, has_own_gpu
from quantlab.errors import QuantLabError, UsageError

Op = Literal["sum", "min", "max"]
T = TypeVar("T")

TIMEOUT = 300
# Of the start, in which one process may fetch the data and each reads it.
_START_TIMEOUT = 1800


class RankLostError(QuantLabError):
    """Another process of the run ended, or could not be reached."""

    exit_code = 1


@contextmanager
def _peers() -> Iterator[None]:
    """Around every exchange: both libraries tell a lost process by a RuntimeError of theirs."""
    try:
        yield
    except RuntimeError as error:
        raise RankLostError(
            "another process of this run ended, or its host cannot be reached; maybe its log in "
            "the run folder says why; main.py resume goes on"
        ) from error


@contextmanager
def _all_there(timeout: int) -> Iterator[None]:
    """Around the first meeting."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        reason = _first_line(error)
        raise RankLostError(
            f"the processes of this run did not all meet (experiment.timeout: {timeout} s): "
            f"{reason}; see docs/clusters.md#networks"
        ) from error


class Communicator(ABC):
    """A group of processes; `rank` counts them from 0, `local_rank` those of one host."""

    launcher: Launcher
    rank: int
    size: int
    local_rank: int
    local_size: int
    has_own_gpu = False  # the process sees one GPU alone, which no other one has

    @property
    def is_root(self) -> bool:
        return self.rank == 0

    @property
    def has_hosts(self) -> bool:
        """Whether the processes are on several hosts."""
        return self.local_size < self.size

    @abstractmethod
    def all_reduce(self, tensor: Tensor, op: Op = "sum") -> Tensor:
        """Return the elementwise sum, minimum or maximum over all processes."""

    @abstractmethod
    def start_sum(self, tensor: Tensor, name: str) -> Callable[[], None]:
        """Begin to sum `tensor` over all processes in place; the returned function waits."""

    @abstractmethod
    def broadcast(self, tensor: Tensor) -> None:
        """Overwrite `tensor` with that of rank 0."""

    @abstractmethod
    def gather(self, value: Any) -> list[Any]:
        """Return the values of all processes, by rank, on all of them."""

    @abstractmethod
    def limit_waits(self) -> None:
        """From now on take a process for lost for which this one waits longer than the timeout.
        Until then one may fetch and read data for longer. Call it on every rank at the same place.
        """

    @abstractmethod
    def close(self) -> None:
        """Leave the group."""

    def barrier(self) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            self.all_reduce(torch.zeros(1))

    def from_root(self, make: Callable[[], T]) -> T:
        """Run `make` on rank 0 alone and return its result everywhere. If it raises one of our
        errors, all ranks raise it, so that none waits for what will not come."""
        made: tuple[T | None, QuantLabError | None] = (None, None)
        if self.is_root:
            try:
                made = (make(), None)
            except QuantLabError as error:
                made = (None, error)
        value, failure = self._broadcast_object(made)
        if failure is not None:
            failure.is_told = not self.is_root
            raise failure
        return cast(T, value)

    def on_all(self, make: Callable[[], T]) -> T:
        """Run `make` on every rank and return its own result. If it raises one of our errors on any
        of them, all ranks raise the first one's, which names its host if there are several."""
        failure: QuantLabError | None = None
        result: T | None = None
        try:
            result = make()
        except QuantLabError as error:
            failure = error
        told = self.gather((os.uname().nodename, failure))
        failures = [(host, f) for host, f in told if f is not None]
        if failures:
            host, first = failures[0]
            if len(failures) < self.size and self.has_hosts:
                first = type(first)(f"{host}: {first}")
            first.is_told = not self.is_root
            raise first
        return cast(T, result)

    def _broadcast_object(self, value: Any) -> Any:
        """Rank 0's value; small, and only ever between processes of one run."""
        if self.size == 1:
            return value
        payload = torch.frombuffer(bytearray(pickle.dumps(value)), dtype=torch.uint8)
        length = torch.tensor([len(payload)])
        self.broadcast(length)
        if not self.is_root:
            payload = torch.empty(int(length), dtype=torch.uint8)
        self.broadcast(payload)
        return pickle.loads(payload.numpy().tobytes())


class Single(Communicator):
    """One process alone."""

    launcher = "single"
    rank = local_rank = 0
    size = local_size = 1

    def all_reduce(self, tensor: Tensor, op: Op = "sum") -> Tensor:
        return tensor.clone()

    def start_sum(self, tensor: Tensor, name: str) -> Callable[[], None]:
        return lambda: None

    def broadcast(self, tensor: Tensor) -> None:
        pass

    def gather(self, value: Any) -> list[Any]:
        return [value]

    def limit_waits(self) -> None:
        pass

    def close(self) -> None:
        pass


class Horovod(Communicator):
    """Processes started by horovodrun; Gloo between CPUs, NCCL between GPUs.

    timeout: in seconds, after which a host that is silent is lost. A process that is only slow is
    waited for: Horovod's own threads talk all the time.
    """

    launcher = "horovod"

    def __init__(self, timeout: int = TIMEOUT) -> None:
        os.environ.setdefault("HOROVOD_GLOO_TIMEOUT_SECONDS", str(timeout))
        # Horovod collects requests for one cycle before it starts them; 1 ms is long beside the
        # step of a small network.
        os.environ.setdefault("HOROVOD_CYCLE_TIME", "0.1")
        try:
            import horovod.torch as hvd
        except ImportError as error:
            raise UsageError(
                f"started by horovodrun, but Horovod is not usable here ({_first_line(error)}); "
                "build it with: bash cfg/horovod.sh"
            ) from error
        if hvd.nccl_built() and torch.cuda.is_available():
            # A sum is done for the processor when the GPU's default stream waits for it.
            os.environ.setdefault("HOROVOD_ENABLE_ASYNC_COMPLETION", "1")
        with _all_there(timeout):
            hvd.init()
        self._hvd = hvd
        self._ops = {"sum": hvd.Sum, "min": hvd.Min, "max": hvd.Max}
        self.rank, self.size = hvd.rank(), hvd.size()
        self.local_rank, self.local_size = hvd.local_rank(), hvd.local_size()

    def all_reduce(self, tensor: Tensor, op: Op = "sum") -> Tensor:
        with _peers():
            result: Tensor = self._hvd.allreduce(tensor, op=self._ops[op])
        _after_sum(result)
        return result

    def start_sum(self, tensor: Tensor, name: str) -> Callable[[], None]:
        with _peers():
            pending = self._hvd.allreduce_async_(tensor, op=self._hvd.Sum, name=name)

        def wait() -> None:
            with _peers():
                self._hvd.synchronize(pending)
            _after_sum(tensor)

        return wait

    def broadcast(self, tensor: Tensor) -> None:
        with _peers():
            self._hvd.broadcast_(tensor, root_rank=0)
        _after_sum(tensor)

    def gather(self, value: Any) -> list[Any]:
        with _peers():
            values: list[Any] = self._hvd.allgather_object(value)
        return values

    def limit_waits(self) -> None:
        pass  # only a host that is silent is lost, from the start

    def close(self) -> None:
        self._hvd.shutdown()


def _after_sum(tensor: Tensor) -> None:
    """Let the current stream wait for what Horovod did to a tensor on a GPU.

    With asynchronous completion Horovod lets the default stream wait, whichever is the current one:
    its callback (DoAllreduce, horovod/torch/mpi_ops_v2.cc) runs in a thread of its own.
    """
    if tensor.is_cuda:
        current = torch.cuda.current_stream(tensor.device)
        current.wait_stream(torch.cuda.default_stream(tensor.device))


class TorchDistributed(Communicator):
    """Processes started by torchrun or srun; Gloo between CPUs, NCCL between GPUs.

    timeout: in seconds, how long a process waits for another one until it takes it for lost.
    """

    def __init__(self, timeout: int = TIMEOUT, *, launcher: Launcher = "torch") -> None:
        self.launcher = launcher
        self.rank, self.size = _from_environment("RANK"), _from_environment("WORLD_SIZE")
        if "MASTER_ADDR" not in os.environ:
            raise UsageError("MASTER_ADDR is not in the environment; torchrun sets it")
        self.local_rank = _from_environment("LOCAL_RANK", self.rank)
        self.local_size = _from_environment("LOCAL_WORLD_SIZE", self.size)
        import torch.distributed as dist

        self.has_own_gpu = launcher == "slurm" and has_own_gpu(os.environ)
        needed = 1 if self.has_own_gpu else self.local_size
        has_gpus = torch.cuda.is_available() and torch.cuda.device_count() >= needed
        backend = "cpu:gloo,cuda:nccl" if has_gpus else "gloo"
        with _all_there(timeout):
            dist.init_process_group(
                backend,
                rank=self.rank,
                world_size=self.size,
                timeout=timedelta(seconds=timeout),
            )
            # A group that waits for longer, until `limit_waits`.
            patience = timedelta(seconds=max(timeout, _START_TIMEOUT))
            self._group: Any = dist.new_group(timeout=patience)
        self._dist = dist
        self._ops = {
            "sum": dist.ReduceOp.SUM,
            "min": dist.ReduceOp.MIN,
            "max": dist.ReduceOp.MAX,
        }

    def all_reduce(self, tensor: Tensor, op: Op = "sum") -> Tensor:
        result = tensor.clone()
        with _peers():
            self._dist.all_reduce(result, op=self._ops[op], group=self._group)
        return result

    def start_sum(self, tensor: Tensor, name: str) -> Callable[[], None]:
        with _peers():
            pending = self._dist.all_reduce(tensor, group=self._group, async_op=True)

        def wait() -> None:
            with _peers():
                pending.wait()

        return wait

    def broadcast(self, tensor: Tensor) -> None:
        with _peers():
            self._dist.broadcast(tensor, src=0, group=self._group)

    def gather(self, value: Any) -> list[Any]:
        values: list[Any] = [None] * self.size
        with _peers():
            self._dist.all_gather_object(values, value, group=self._group)
        return values

    def limit_waits(self) -> None:
        self._group = self._dist.group.WORLD

    def close(self) -> None:
        self._dist.destroy_process_group()


def _of_srun(timeout: int) -> Communicator:
    os.environ.update(as_torchrun(os.environ))
    return TorchDistributed(timeout, launcher="slurm")


_CLASSES: dict[Launcher, Callable[[int], Communicator]] = {
    "horovod": Horovod,
    "torch": TorchDistributed,
    "slurm": _of_srun,
    "single": lambda timeout: Single(),
}


def connect(launcher: Launcher, timeout: int = TIMEOUT) -> Communicator:
    """Join the processes of this run. timeout: in seconds, how long one waits for another.

    Raises UsageError if the launcher's library is missing, RankLostError if not all come.
    """
    return _CLASSES[launcher](timeout)


def _from_environment(name: str, default: int | None = None) -> int:
    text = os.environ.get(name)
    if text is None and default is not None:
        return default
    if text is None or not text.isdecimal():
        raise UsageError(f"{name}={text!r} in the environment; torchrun sets a number")
    return int(text)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
