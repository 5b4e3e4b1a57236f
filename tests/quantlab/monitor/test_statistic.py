import pytest

from quantlab.errors import UsageError
from quantlab.monitor.batch_norm_factors import BatchNormFactorsConfig
from quantlab.monitor.sqnr import SqnrConfig
from quantlab.monitor.weight_norm import WeightNormConfig
from tests.quantlab.monitor.small import make_network


@pytest.mark.parametrize(
    ("period", "start", "due"),
    [(1, 0, [0, 1, 2, 3, 4, 5, 6]), (3, 0, [0, 3, 6]), (2, 3, [3, 5]), (100, 0, [0]), (1, 9, [])],
)
def test_when_it_is_due(period: int, start: int, due: list[int]) -> None:
    config = WeightNormConfig(period=period, start=start)
    assert [step for step in range(7) if config.is_due(step)] == due


def test_layers_are_those_of_the_subject() -> None:
    network, _ = make_network()
    assert list(WeightNormConfig(select="!conv").layers(network)) == ["linear"]
    assert list(BatchNormFactorsConfig().layers(network)) == ["norm"]
    with pytest.raises(UsageError, match=r"'nrm' matches no batch norm .*; did you mean 'norm'"):
        BatchNormFactorsConfig(select="nrm").layers(network)


def test_without_its_subject_it_has_no_effect() -> None:
    network, _ = make_network(rules=())
    with pytest.raises(
        UsageError,
        match="stat: 'sqnr' has no effect, the network has no layer with quantizers",
    ):
        SqnrConfig().layers(network)
