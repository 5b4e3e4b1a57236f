"""What a problem's meter says of outputs, whoever made them."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from experiments.protocols import Meter


@dataclass(frozen=True, kw_only=True)
class Tally:
    """A meter with what it needs: the library's postprocessing and the run's loss."""

    meter: Meter
    postprocess: Callable[[Tensor], Tensor]
    loss: nn.Module

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Count a batch: the network's outputs and the targets `[N, ...]`."""
        self.meter.update(self.postprocess(outputs), targets, self.loss(outputs, targets))

    def metrics(self) -> dict[str, float]:
        return dict(self.meter.compute())
