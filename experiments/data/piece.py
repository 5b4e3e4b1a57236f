"""A batch between reading and preparing."""

from dataclasses import dataclass

from torch import Tensor

from experiments.data.plan import Slice


@dataclass(frozen=True, kw_only=True)
class EpochDraws:
    """What the batches of an epoch have in common, on the device.

    order: the samples of the epoch, int64 `[N]`. draws: the random numbers of the augmentation,
    `[N, K]`, both in the epoch's order; None without.
    """

    order: Tensor
    draws: Tensor | None


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A batch that was read and not prepared.

    reading: the raw samples and the targets; None of data that lies on the device, which is
    gathered there, and of a batch without samples.
    """

    slice: Slice
    epoch: EpochDraws
    reading: tuple[Tensor, Tensor] | None = None

    @property
    def draws(self) -> Tensor | None:
        """The batch's own random numbers, `[B, K]`."""
        draws = self.epoch.draws
        return None if draws is None else draws[self.slice.start : self.slice.stop]
