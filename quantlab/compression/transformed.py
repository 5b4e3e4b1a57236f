"""Batches whose inputs go through a function before the network gets them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from quantlab.compression.samples import Batches, pair_of
from quantlab.compression.training import num_batches_of
from quantlab.errors import UsageError

Transform = Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Transformed:
    """Batches of `transform(inputs)` and classes, in the order of the batches given."""

    batches: Batches
    transform: Transform
    name: str

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for batch in self.batches:
            inputs, targets = pair_of(batch, self.name)
            made = self.transform(inputs)
            if not isinstance(made, Tensor) or len(made) != len(inputs):
                raise UsageError(
                    f"calculateInputs: it returned a {type(made).__name__}, a tensor of "
                    f"{len(inputs)} samples needed"
                )
            yield made, targets

    def __len__(self) -> int:
        return num_batches_of(self.batches)

    @property
    def generator(self) -> Any:
        """What the batches draw from, None for the one of torch."""
        return getattr(self.batches, "generator", None)

    @property
    def sampler(self) -> Any:
        """What gives the order of the batches, None without."""
        return getattr(self.batches, "sampler", None)
