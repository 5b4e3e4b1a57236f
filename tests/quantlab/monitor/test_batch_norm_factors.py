import numpy as np
import pytest
import torch
from torch import nn

from quantlab.errors import UsageError
from quantlab.monitor import Histogram, Monitor
from quantlab.monitor.batch_norm_factors import BatchNormFactorsConfig
from tests.quantlab.monitor.small import array, numbers, trained


def test_factors_are_those_after_the_step() -> None:
    training = trained(BatchNormFactorsConfig(period=1))
    found = numbers(training.readings[-1])
    expected = {}
    for name, factor in (("gamma", "weight"), ("beta", "bias")):
        values = array(training.network.norm.get_parameter(factor))
        tag = f"batch_norm_factors/norm/{name}"
        expected |= {f"{tag}/mean": values.mean(), f"{tag}/min": values.min()}
        expected |= {f"{tag}/max": values.max()}
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("norm", [nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d])
def test_histograms(norm: type[nn.Module]) -> None:
    network = norm(5).bfloat16()
    network.get_parameter("weight").data = torch.tensor([-0.5, 0.25, 0.25, 1.0, 1.5]).bfloat16()
    monitor = Monitor(network)
    monitor.add(BatchNormFactorsConfig())
    monitor.start_step(0)
    found = {r.tag: r.value for r in monitor.end_step() if isinstance(r.value, Histogram)}
    gamma, beta = (found[f"batch_norm_factors/{name}"] for name in ("gamma", "beta"))
    edges = np.array(gamma.edges)
    filled = {float(edges[i]): n for i, n in enumerate(gamma.counts) if n}
    assert filled == {-0.5: 1, 0.25: 2, 1.0: 1, 1.5: 1}
    assert (beta.edges[0], beta.counts) == (0.0, (5,))


def test_batch_norms_without_factors_do_not_count() -> None:
    monitor = Monitor(nn.Sequential(nn.BatchNorm2d(3, affine=False)))
    with pytest.raises(UsageError, match="network has no batch norm with factors"):
        monitor.add(BatchNormFactorsConfig())
