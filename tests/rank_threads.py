"""Ranks as threads of this process: quick, where only the arithmetic between ranks counts."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from torch import Tensor

from experiments.processes.communicator import Communicator, Op, Single

T = TypeVar("T")
_PATIENCE_SECONDS = 120.0  # for a rank that left the others alone


class _Rank(Single):
    """One of the threads; what a rank gives lies in its slot while all read it."""

    def __init__(self, rank: int, slots: list[Any], barrier: threading.Barrier) -> None:
        self.rank = self.local_rank = rank
        self.size = self.local_size = len(slots)
        self._slots = slots
        self._barrier = barrier

    def all_reduce(self, tensor: Tensor, op: Op = "sum") -> Tensor:
        pieces = self.gather(tensor)
        assert len({(piece.dtype, piece.shape) for piece in pieces}) == 1, "ranks differ"
        stacked = torch.stack(pieces)
        return {"sum": stacked.sum, "min": stacked.amin, "max": stacked.amax}[op](0)

    def broadcast(self, tensor: Tensor) -> None:
        tensor.copy_(self.gather(tensor.clone())[0])

    def gather(self, value: Any) -> list[Any]:
        self._slots[self.rank] = value
        self._barrier.wait()
        values = list(self._slots)
        self._barrier.wait()
        return values


def on_ranks(num_ranks: int, function: Callable[[Communicator], T]) -> list[T]:
    """Return what `function` returns on each rank."""
    slots: list[Any] = [None] * num_ranks
    barrier = threading.Barrier(num_ranks, timeout=_PATIENCE_SECONDS)
    with ThreadPoolExecutor(num_ranks) as pool:
        ranks = [_Rank(rank, slots, barrier) for rank in range(num_ranks)]
        return list(pool.map(function, ranks))
