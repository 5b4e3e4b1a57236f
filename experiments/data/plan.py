"""How an epoch's samples are shared out: to steps, ranks and batches.

A step takes the next `num_ranks * batches_per_step * batch_size` samples of the epoch's order; each
rank takes an equal, contiguous part of them (parts of the last step differ by one sample at most)
and cuts it into batches. So the samples of a step do not depend on the number of ranks, given
their product with the batch size.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class Slice:
    """A rank's batch: positions [start, stop) of the epoch's order, maybe none.

    weight: its share of the samples of the whole step, by which its mean loss counts.
    step: the number of the step in the epoch; is_last: the last batch of this rank in the step.
    """

    start: int
    stop: int
    weight: float
    step: int
    is_last: bool


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The batches of one rank.

    drops_partial: leave the last step out if it has fewer samples than the others.
    """

    num_samples: int
    batch_size: int
    batches_per_step: int = 1
    num_ranks: int = 1
    rank: int = 0
    drops_partial: bool = False

    @property
    def samples_per_step(self) -> int:
        return self.batch_size * self.batches_per_step * self.num_ranks

    @property
    def num_steps(self) -> int:
        num_full, num_left = divmod(self.num_samples, self.samples_per_step)
        return num_full + (num_left > 0 and not self.drops_partial)

    @property
    def smallest_batch(self) -> int:
        """The samples in the smallest batch of any rank, empty ones left out; 0 without a step."""
        ranks = (replace(self, rank=rank) for rank in range(self.num_ranks))
        # All steps before the last are full.
        pieces = (piece for rank in ranks for piece in rank.slices(max(0, self.num_steps - 2)))
        return min((p.stop - p.start for p in pieces if p.stop > p.start), default=0)

    def is_full(self, step: int) -> bool:
        """Return whether all batches of a step are full, on all ranks."""
        return (step + 1) * self.samples_per_step <= self.num_samples

    def slices(self, first_step: int = 0) -> Iterator[Slice]:
        """Yield this rank's batches from step `first_step` on."""
        for step in range(first_step, self.num_steps):
            begin = step * self.samples_per_step
            count = min(self.samples_per_step, self.num_samples - begin)
            start = begin + count * self.rank // self.num_ranks
            stop = begin + count * (self.rank + 1) // self.num_ranks
            while True:
                cut = min(start + self.batch_size, stop)
                is_last = cut == stop
                share = (cut - start) / count
                yield Slice(start=start, stop=cut, weight=share, step=step, is_last=is_last)
                if is_last:
                    break
                start = cut
