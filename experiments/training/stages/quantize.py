"""`quantize`: the layers of a network get quantizers."""

from torch import nn

from experiments.training.stages.stage import Built, Stage
from quantlab.algorithms.rules import QuantizeConfig, quantize


def apply(network: nn.Module, config: QuantizeConfig) -> Built:
    return network, quantize(network, config.rules)


QUANTIZE = Stage(section="quantize", is_asked=lambda config: bool(config.rules), apply=apply)
