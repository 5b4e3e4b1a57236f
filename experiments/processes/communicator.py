"""How the processes of a run talk: horovodrun, torchrun or a single process, one meaning.

`experiments/processes/launcher.py` knows which launcher started the program.
"""

import os
import pickle
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeVar, cast

import torch
from torch import Tensor

from experiments.processes.launcher import Launcher
from quantlab.errors import QuantLabError, UsageError

Op = Literal["sum", "min", "max"]
T = TypeVar("T")


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
            "another process of this run ended, maybe its log in the run folder says why; "
            "main.py resume goes on"
        ) from error


class Communicator(ABC):
    """A group of processes; `rank` counts them from 0, `local_rank` those of one host."""

    launcher: Launcher
    rank: int
    size: int
    local_rank: int
    local_size: int

    @property
    def is_root(self) -> bool:
        return self.rank == 0

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
            raise failure
        return cast(T, value)

    def on_all(self, make: Callable[[], T]) -> T:
        """Run `make` on every rank and return its own result. If it raises one of our errors on any
        of them, all ranks raise the first one's."""
        failure: QuantLabError | None = None
        result: T | None = None
        try:
            result = make()
        except QuantLabError as error:
            failure = error
        failures = [f for f in self.gather(failure) if f is not None]
        if failures:
            raise failures[0]
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

    def close(self) -> None:
        pass


class Horovod(Communicator):
    """Processes started by horovodrun; Gloo between CPUs, NCCL between GPUs."""

    launcher = "horovod"

    def __init__(self) -> None:
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
        hvd.init()
        self._hvd = hvd
        self._ops = {"sum": hvd.Sum, "min": hvd.Min, "max": hvd.Max}
        self.rank, self.size = hvd.rank(), hvd.size()
        self.local_rank, self.local_size = hvd.local_rank(), hvd.local_size()

    def all_reduce(self, tensor: Tensor, op: Op = "sum") -> Tensor:
        with _peers():
            result: Tensor = self._hvd.allreduce(tensor, op=self._ops[op])
        return result

    def start_sum(self, tensor: Tensor, name: str) -> Callable[[], None]:
        with _peers():
            pending = self._hvd.allreduce_async_(tensor, op=self._hvd.Sum, name=name)

        def wait() -> None:
            with _peers():
                self._hvd.synchronize(pending)

        return wait

    def broadcast(self, tensor: Tensor) -> None:
        with _peers():
            self._hvd.broadcast_(tensor, root_rank=0)

    def gather(self, value: Any) -> list[Any]:
        with _peers():
            values: list[Any] = self._hvd.allgather_object(value)
        return values

    def close(self) -> None:
        self._hvd.shutdown()


class TorchDistributed(Communicator):
    """Processes started by torchrun; Gloo between CPUs, NCCL between GPUs."""

    launcher = "torch"

    def __init__(self) -> None:
        self.rank, self.size = _from_environment("RANK"), _from_environment("WORLD_SIZE")
        if "MASTER_ADDR" not in os.environ:
            raise UsageError("MASTER_ADDR is not in the environment; torchrun sets it")
        self.local_rank = _from_environment("LOCAL_RANK", self.rank)
        self.local_size = _from_environment("LOCAL_WORLD_SIZE", self.size)
        import torch.distributed as dist

        has_gpus = torch.cuda.is_available() and torch.cuda.device_count() >= self.local_size
        backend = "cpu:gloo,cuda:nccl" if has_gpus else "gloo"
        dist.init_process_group(backend, rank=self.rank, world_size=self.size)
        self._dist = dist
        self._ops = {
            "sum": dist.ReduceOp.SUM,
            "min": dist.ReduceOp.MIN,
            "max": dist.ReduceOp.MAX,
        }

    def all_reduce(self, tensor: Tensor, op: Op = "sum") -> Tensor:
        result = tensor.clone()
        with _peers():
            self._dist.all_reduce(result, op=self._ops[op])
        return result

    def start_sum(self, tensor: Tensor, name: str) -> Callable[[], None]:
        with _peers():
            pending = self._dist.all_reduce(tensor, async_op=True)

        def wait() -> None:
            with _peers():
                pending.wait()

        return wait

    def broadcast(self, tensor: Tensor) -> None:
        with _peers():
            self._dist.broadcast(tensor, src=0)

    def gather(self, value: Any) -> list[Any]:
        values: list[Any] = [None] * self.size
        with _peers():
            self._dist.all_gather_object(values, value)
        return values

    def close(self) -> None:
        self._dist.destroy_process_group()


_CLASSES: dict[Launcher, Callable[[], Communicator]] = {
    "horovod": Horovod,
    "torch": TorchDistributed,
    "single": Single,
}


def connect(launcher: Launcher) -> Communicator:
    """Join the processes of this run. Raises UsageError if the launcher's library is missing."""
    return _CLASSES[launcher]()


def _from_environment(name: str, default: int | None = None) -> int:
    text = os.environ.get(name)
    if text is None and default is not None:
        return default
    if text is None or not text.isdecimal():
        raise UsageError(f"{name}={text!r} in the environment; torchrun sets a number")
    return int(text)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
