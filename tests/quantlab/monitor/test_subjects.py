"""Which layers are meant."""

from torch import nn

from quantlab.monitor.subjects import (
    BATCH_NORMS,
    LAYERS_WITH_QUANTIZERS,
    LAYERS_WITH_WEIGHTS,
    quantizers_of,
)
from tests.quantlab.monitor.small import RULES, make_network


def test_subjects_of_a_network() -> None:
    network, _ = make_network(RULES[1:])
    network.extra = nn.BatchNorm1d(3, affine=False)
    assert list(LAYERS_WITH_WEIGHTS.find(network)) == ["conv", "linear"]
    assert list(LAYERS_WITH_QUANTIZERS.find(network)) == ["linear"]
    assert list(BATCH_NORMS.find(network)) == ["norm"]


def test_quantizers_by_their_tensor() -> None:
    network, _ = make_network()
    assert set(quantizers_of(network.linear)) == {"weight", "input"}
    assert quantizers_of(network.linear)["input"] is network.linear.input_quantizer
    assert quantizers_of(network.relu) == {}


def test_quantizers_elsewhere_count_too() -> None:
    network, _ = make_network()
    network.relu.output_quantizer = network.linear.input_quantizer
    assert "relu" in LAYERS_WITH_QUANTIZERS.find(network)
    assert set(quantizers_of(network.relu)) == {"output"}
