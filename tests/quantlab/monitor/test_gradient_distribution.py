import pytest
import torch
from torch import nn

from quantlab.monitor import Histogram, Monitor
from quantlab.monitor.gradient_distribution import GradientDistributionConfig
from tests.quantlab.monitor.small import Training, array, make_batch, make_network, numbers


@pytest.mark.parametrize("loss_scale", [1.0, 4096.0, 3.0])
@pytest.mark.parametrize("is_in_place", [False, True])
def test_it_is_the_gradient_of_the_output(loss_scale: float, is_in_place: bool) -> None:
    """Against autograd's own gradient of the layer's output."""
    network, controllers = make_network()
    network.norm = nn.Identity()
    network.relu = nn.ReLU(inplace=is_in_place)
    monitor = Monitor(network)
    monitor.add(GradientDistributionConfig(period=1, select="conv"))
    x, targets, _ = make_batch(3)
    output = network.conv(x)
    loss = nn.functional.cross_entropy(network.linear(output.relu().flatten(1)), targets)
    (gradient,) = torch.autograd.grad(loss, output)
    expected = array(gradient)
    training = Training(network=network, controllers=controllers, monitor=monitor)
    training.loss_scale = loss_scale
    readings = training.run([(x, targets, 1.0)])
    found = numbers(readings)
    by_name = {
        "mean": expected.mean(),
        "std": expected.std(),
        "min": expected.min(),
        "max": expected.max(),
        "zeros": (expected == 0).mean(),
    }
    for name, value in by_name.items():
        tag = f"gradient_distribution/conv/{name}"
        assert found[tag] == pytest.approx(value, rel=1e-4, abs=1e-9)
    (histogram,) = [r.value for r in readings if isinstance(r.value, Histogram)]
    assert sum(histogram.counts) == expected.size
    assert histogram.edges[0] <= expected.min() <= expected.max() <= histogram.edges[-1]


def test_parts_of_a_step_count_by_their_share() -> None:
    network, controllers = make_network(())
    monitor = Monitor(network)
    monitor.add(GradientDistributionConfig(period=1, select="linear"))
    training = Training(network=network, controllers=controllers, monitor=monitor)
    x, targets, _ = make_batch(3)
    outputs = network(x).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(outputs, targets), outputs)
    found = numbers(training.run([(x[:2], targets[:2], 2 / 12), (x[2:], targets[2:], 10 / 12)]))
    expected = array(gradient).std()
    assert found["gradient_distribution/linear/std"] == pytest.approx(expected, rel=1e-5)
