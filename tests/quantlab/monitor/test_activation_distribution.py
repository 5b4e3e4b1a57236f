import numpy as np
import pytest
from torch import Tensor, nn

from quantlab.monitor import Histogram, Monitor
from quantlab.monitor.activation_distribution import ActivationDistributionConfig
from tests.quantlab.monitor.small import STE, Training, array, make_batch, make_network, numbers


def test_it_is_what_comes_out_before_it_is_changed_in_place() -> None:
    network, controllers = make_network([("conv", "output", {**STE, "observer": "minmax"})])
    network.norm = nn.Identity()  # so that the activation function overwrites the layer's output
    monitor = Monitor(network)
    monitor.add(ActivationDistributionConfig(period=1))
    training = Training(network=network, controllers=controllers, monitor=monitor)
    seen: list[Tensor] = []
    network.conv.register_forward_hook(lambda layer, inputs, output: seen.append(output.clone()))
    for step in range(4):
        readings = training.run([make_batch(step)])
        x = array(seen[-1])
        assert x.min() < 0
        found = numbers(readings)
        expected = {"mean": x.mean(), "std": x.std(), "min": x.min(), "max": x.max()}
        for name, value in expected.items():
            tag = f"activation_distribution/conv/{name}"
            assert found[tag] == pytest.approx(value, rel=1e-6, abs=1e-9)
    assert len(np.unique(x)) <= 8, "behind the output quantizer"
    assert found["activation_distribution/conv/zeros"] == pytest.approx((x == 0).mean())
    (histogram,) = [r.value for r in readings if r.tag == "activation_distribution/conv"]
    assert isinstance(histogram, Histogram)
    assert sum(histogram.counts) == x.size
