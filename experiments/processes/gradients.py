"""Summing gradients over the processes while the backward pass still runs.

Plain hooks instead of a wrapping module: the names in checkpoints are the same under all launchers,
and the graph of the network may be edited until the hooks are set.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from experiments.processes.communicator import Communicator

_BUCKET_BYTES = 32 << 20


class GradientSum:
    """Sums the gradients of `parameters` over all processes, in buckets of about 32 MiB.

    A bucket starts when the gradients of all its parameters are there, and always in the same order
    on all ranks. The losses carry their share of the step's samples, so that the sum is the mean.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], communicator: Communicator) -> None:
        self._communicator = communicator
        # Gradients arrive roughly in reverse order of definition.
        self._buckets = _fill_buckets([p for p in parameters if p.requires_grad][::-1])
        self._bucket_of = {
            p: i for i, bucket in enumerate(self._buckets) for p in bucket.parameters
        }
        self._is_armed = False
        self._missing: list[int] = []
        self._waits: list[Callable[[], None]] = []
        for parameter in self._bucket_of:
            parameter.register_post_accumulate_grad_hook(self._on_gradient)

    def arm(self) -> None:
        """Call before the backward pass of the last batch of a step."""
        self._is_armed = True
        self._missing = [len(bucket.parameters) for bucket in self._buckets]

    def finish(self) -> None:
        """Wait until every gradient is the sum over all processes."""
        self._is_armed = False
        self._start_up_to(len(self._buckets))
        for bucket, wait in zip(self._buckets, self._waits, strict=True):
            wait()
            for parameter, view in zip(bucket.parameters, bucket.views, strict=True):
                parameter.grad = view
        self._waits = []

    def _on_gradient(self, parameter: Tensor) -> None:
        if not self._is_armed:
            return
        self._missing[self._bucket_of[parameter]] -= 1  # type: ignore[index]  # a hook's argument is its own parameter
        ready = len(self._waits)
        while ready < len(self._buckets) and self._missing[ready] == 0:
            ready += 1
        self._start_up_to(ready)

    def _start_up_to(self, stop: int) -> None:
        for i in range(len(self._waits), stop):
            bucket = self._buckets[i]
            # A parameter that this rank's samples did not reach counts with zeros.
            gradients = [
                torch.zeros_like(p) if p.grad is None else p.grad for p in bucket.parameters
            ]
            torch._foreach_copy_(bucket.views, gradients)
            self._waits.append(self._communicator.start_sum(bucket.flat, f"gradient.{i}"))


@dataclass(frozen=True, kw_only=True)
class _Bucket:
    """Parameters, and one flat tensor with a view for the gradient of each, in its own layout."""

    parameters: list[nn.Parameter]
    flat: Tensor
    views: list[Tensor]


def _fill_buckets(parameters: Sequence[nn.Parameter]) -> list[_Bucket]:
    groups: list[list[nn.Parameter]] = []
    size = _BUCKET_BYTES
    for parameter in parameters:
        is_other = bool(groups) and groups[-1][0].dtype != parameter.dtype
        if size >= _BUCKET_BYTES or is_other:
            groups.append([])
            size = 0
        groups[-1].append(parameter)
        size += parameter.nbytes
    return [_allocate(group) for group in groups]


def _allocate(parameters: list[nn.Parameter]) -> _Bucket:
    counts = [p.numel() for p in parameters]
    flat = parameters[0].new_zeros(sum(counts))
    views = [
        piece.as_strided(p.size(), torch.empty_like(p).stride())
        for p, piece in zip(parameters, flat.split(counts), strict=True)
    ]
    return _Bucket(parameters=parameters, flat=flat, views=views)
