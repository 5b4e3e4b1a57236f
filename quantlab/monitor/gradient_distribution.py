"""gradient_distribution: dL/dy, the gradient of the step's mean loss that arrives at the output y
of a layer; mean, std, min, max, zeros and histogram, as in `distribution`.

A std that falls from the last layer to the first says that gradients vanish, one that rises that
they explode. Many zeros stand behind activation functions that are off, and behind quantizers that
clip. Scaling of the loss (float16) is taken out.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar, Literal

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from quantlab.monitor.distribution import Distribution
from quantlab.monitor.statistic import Statistic, StatisticConfig, Value
from quantlab.monitor.subjects import LAYERS_WITH_WEIGHTS, Subject
from quantlab.numerics.affine import widen


class GradientDistribution(Statistic):
    """See the module. Over all batches of the step, of all ranks."""

    def __init__(self, layer: nn.Module) -> None:
        self._layer = layer
        self._gradients = Distribution()

    def start(self, loss_scale: float) -> Iterable[RemovableHandle]:
        self._loss_scale = loss_scale
        yield self._layer.register_forward_hook(self._on_output)

    def peaks(self) -> Tensor:
        return self._gradients.peaks()

    def sums(self, peaks: Tensor) -> Tensor:
        return self._gradients.sums(peaks)

    def values(self, peaks: Tensor, sums: Tensor) -> Iterator[tuple[str, Value]]:
        yield from self._gradients.values(peaks, sums)

    def _on_output(self, layer: nn.Module, inputs: object, output: Tensor) -> None:
        if output.requires_grad:
            output.register_hook(self._on_gradient)

    def _on_gradient(self, gradient: Tensor) -> None:
        self._gradients.add(widen(gradient.detach()) / self._loss_scale)


class GradientDistributionConfig(StatisticConfig):
    """The settings of gradient_distribution; see `StatisticConfig`."""

    subject: ClassVar[Subject] = LAYERS_WITH_WEIGHTS

    stat: Literal["gradient_distribution"] = "gradient_distribution"

    def statistics(self, layer: nn.Module) -> Mapping[str, Statistic]:
        return {"": GradientDistribution(layer)}
