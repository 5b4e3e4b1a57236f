"""How far a compression is, as a person sees it."""

from collections.abc import Callable
from types import TracebackType

from experiments.progress import Steps


class Shown:
    """A bar over all steps of training. num_batches: of an epoch. done: epochs that are trained
    already. on_epoch: told of each that is trained now."""

    def __init__(
        self, num_epochs: int, num_batches: int, done: int, on_epoch: Callable[[int], None]
    ) -> None:
        self._num_batches, self._done, self._on_epoch = num_batches, done, on_epoch
        self._steps = Steps(num_epochs * num_batches, done * num_batches, is_shown=True)

    def __enter__(self) -> "Shown":
        self._steps.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._steps.__exit__(kind, error, trace)

    def batch(self, index: int) -> None:
        """Take that so many batches of the present epoch were used."""
        self._steps.advance(self._done * self._num_batches + index, "compressing")

    def epoch(self, what: str, done: int, total: int | None) -> None:
        """Take that so many epochs are trained; see `quantlab.compression.compress`."""
        self._done = done
        self._on_epoch(done)
        self.batch(0)
