"""A batch at addresses that stay, for steps that are recorded once and repeated."""

from collections.abc import Callable

import torch
from torch import Tensor

from experiments.data.piece import EpochDraws, Piece
from experiments.protocols import InMemory


class Feed:
    """Tensors that are filled before each repetition, and what a recorded step makes of them.

    memory: the data set, if it lies on the device: its batches are gathered in the recorded step.
    inputs_of: what turns raw samples and their random numbers into inputs.
    """

    def __init__(
        self,
        piece: Piece,
        memory: InMemory | None,
        inputs_of: Callable[[Tensor, Tensor | None], Tensor],
    ) -> None:
        self._memory, self._inputs_of = memory, inputs_of
        self._epoch: EpochDraws | None = None
        draws, order = piece.draws, piece.epoch.order
        device = order.device
        if memory is not None:
            self._order = torch.empty_like(order)
            self._offsets = torch.arange(piece.slice.stop - piece.slice.start, device=device)
            self._start = torch.zeros((), dtype=torch.int64, device=device)
            draws = piece.epoch.draws
        else:
            assert piece.reading is not None
            self._raw, self._targets = (torch.empty_like(t, device=device) for t in piece.reading)
        self._draws = None if draws is None else torch.empty_like(draws)

    def fill(self, piece: Piece) -> None:
        """Take another batch of as many samples."""
        if self._memory is None:
            assert piece.reading is not None
            raw, targets = piece.reading
            self._raw.copy_(raw, non_blocking=True)
            self._targets.copy_(targets, non_blocking=True)
            _copy(self._draws, piece.draws)
            return
        if piece.epoch is not self._epoch:
            self._order.copy_(piece.epoch.order)
            _copy(self._draws, piece.epoch.draws)
            self._epoch = piece.epoch
        self._start.fill_(piece.slice.start)

    def read(self) -> tuple[Tensor, Tensor]:
        """Return inputs and targets of the batch that was filled in last."""
        if self._memory is None:
            return self._inputs_of(self._raw, self._draws), self._targets
        places = self._offsets + self._start
        samples = self._order[places]
        draws = None if self._draws is None else self._draws[places]
        raw = self._memory.inputs[samples]
        return self._inputs_of(raw, draws), self._memory.targets[samples]


def _copy(to: Tensor | None, given: Tensor | None) -> None:
    if to is not None and given is not None:
        to.copy_(given)
