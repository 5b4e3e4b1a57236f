"""The batches of a run as the library takes them: inputs and classes, epoch by epoch."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from experiments.data.loader import Loader

_MOST = 2**31 - 1


class Feed:
    """Batches of a loader. on_batch: told the number of each batch, from 1, when it was used.

    An epoch's order and augmentation follow from a number that is drawn from torch's generator, as
    a DataLoader draws its seed: whoever seeds that gets the same batches.
    """

    def __init__(
        self,
        loader: Loader,
        *,
        is_shuffled: bool,
        on_batch: Callable[[int], None] = lambda index: None,
    ) -> None:
        self._loader, self._is_shuffled, self._on_batch = loader, is_shuffled, on_batch

    def __len__(self) -> int:
        return sum(1 for piece in self._loader.plan.slices() if piece.stop > piece.start)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        epoch = int(torch.randint(_MOST, ())) if self._is_shuffled else 0
        for index, batch in enumerate(self._loader.epoch(epoch, is_shuffled=self._is_shuffled)):
            yield batch.inputs, batch.targets
            self._on_batch(index + 1)
