"""Statistics of what passes through a quantizer: sums over the tensors that it puts on its grid."""

from abc import abstractmethod
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from quantlab.monitor.statistic import Statistic
from quantlab.quantizer import Quantizer


class QuantizerStatistic(Statistic):
    """Adds up what `measure` returns, over all batches of the step and all ranks. A quantizer in
    the float stage is not measured."""

    def __init__(self, quantizer: Quantizer, num_sums: int) -> None:
        self.quantizer = quantizer
        self._sums = torch.zeros(num_sums, dtype=torch.float64)

    @abstractmethod
    def measure(self, x: Tensor) -> Tensor:
        """Return the sums of a tensor that is quantized, float64 `[num_sums]`."""

    def start(self, loss_scale: float) -> Iterable[RemovableHandle]:
        yield self.quantizer.register_forward_hook(self._on_forward)

    def sums(self, peaks: Tensor) -> Tensor:
        return self._sums

    @torch.no_grad()
    def _on_forward(self, quantizer: nn.Module, inputs: tuple[Tensor], output: object) -> None:
        if self.quantizer.is_enabled:
            self._sums += self.measure(inputs[0].detach()).cpu()
