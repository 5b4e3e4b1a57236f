"""activation_distribution: what comes out of a layer; mean, std, min, max, zeros and histogram, as
in `distribution`.

A std that shrinks or grows from layer to layer says that signals vanish or explode. A max far
beyond the std costs a quantizer behind the layer its resolution; an output of zeros alone is dead.
It is the output of the layer itself, behind its output quantizer, before an activation function.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar, Literal

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from quantlab.monitor.distribution import Distribution
from quantlab.monitor.statistic import Statistic, StatisticConfig, Value
from quantlab.monitor.subjects import LAYERS_WITH_WEIGHTS, Subject


class ActivationDistribution(Statistic):
    """See the module. Over all batches of the step, of all ranks."""

    def __init__(self, layer: nn.Module) -> None:
        self._layer = layer
        self._outputs = Distribution()

    def start(self, loss_scale: float) -> Iterable[RemovableHandle]:
        yield self._layer.register_forward_hook(self._on_output)

    def peaks(self) -> Tensor:
        return self._outputs.peaks()

    def sums(self, peaks: Tensor) -> Tensor:
        return self._outputs.sums(peaks)

    def values(self, peaks: Tensor, sums: Tensor) -> Iterator[tuple[str, Value]]:
        yield from self._outputs.values(peaks, sums)

    def _on_output(self, layer: nn.Module, inputs: object, output: Tensor) -> None:
        self._outputs.add(output)


class ActivationDistributionConfig(StatisticConfig):
    """The settings of activation_distribution; see `StatisticConfig`."""

    subject: ClassVar[Subject] = LAYERS_WITH_WEIGHTS

    stat: Literal["activation_distribution"] = "activation_distribution"

    def statistics(self, layer: nn.Module) -> Mapping[str, Statistic]:
        return {"": ActivationDistribution(layer)}
