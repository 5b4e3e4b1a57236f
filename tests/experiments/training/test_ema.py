"""The moving average against a loop in float64."""

import pytest
import torch
from torch import nn

from experiments.training.ema import EmaWeights


def step(network: nn.Module, generator: torch.Generator) -> None:
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.is_floating_point():
                tensor += torch.randn(tensor.shape, generator=generator)
            else:
                tensor += 1


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.999])
def test_average(decay: float) -> None:
    generator = torch.Generator().manual_seed(0)
    net = network()
    ema = EmaWeights(net, decay)
    expected = {n: t.double() for n, t in net.state_dict().items()}
    for _ in range(20):
        step(net, generator)
        ema.update()
        for name, tensor in net.state_dict().items():
            old = expected[name]
            is_float = tensor.is_floating_point()
            expected[name] = decay * old + (1 - decay) * tensor.double() if is_float else tensor
    for name, tensor in ema.state_dict().items():
        torch.testing.assert_close(tensor.double(), expected[name].double(), rtol=1e-5, atol=1e-5)
    assert int(ema.state_dict()["1.num_batches_tracked"]) == 20


def test_applied_for_a_while_only() -> None:
    net = network()
    ema = EmaWeights(net, 0.9)
    step(net, torch.Generator().manual_seed(0))
    own = {n: t.clone() for n, t in net.state_dict().items()}
    pointers = [p.data_ptr() for p in net.parameters()]
    with ema.applied():
        assert all(torch.equal(t, ema.state_dict()[n]) for n, t in net.state_dict().items())
    assert all(torch.equal(t, own[n]) for n, t in net.state_dict().items())
    with pytest.raises(KeyError), ema.applied():
        own.pop("not there")
    assert all(torch.equal(t, own[n]) for n, t in net.state_dict().items())
    assert [p.data_ptr() for p in net.parameters()] == pointers


def test_state_round_trip() -> None:
    net = network()
    ema, other = EmaWeights(net, 0.9), EmaWeights(network(), 0.9)
    step(net, torch.Generator().manual_seed(0))
    ema.update()
    other.load_state_dict(ema.state_dict())
    assert all(torch.equal(t, other.state_dict()[n]) for n, t in ema.state_dict().items())


class Tied(nn.Module):
    """Two names for one parameter, two for one batch norm, and a buffer of something else."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(1, 1, bias=False)
        self.b = nn.Linear(1, 1, bias=False)
        self.b.weight = self.a.weight
        self.norm = nn.BatchNorm1d(1)
        self.again = self.norm
        self.register_buffer("scale", torch.zeros(()))


def test_tied_weights_are_averaged_and_other_buffers_follow() -> None:
    net = Tied()
    with torch.no_grad():
        net.a.weight.zero_()
        ema = EmaWeights(net, 0.9)
        net.a.weight.fill_(1.0)
        net.norm.running_mean.fill_(1.0)
        net.scale.fill_(1.0)
    ema.update()
    with ema.applied():
        assert net.a.weight.item() == pytest.approx(0.1)
        assert net.again.running_mean.item() == pytest.approx(0.1)
        assert net.scale.item() == 1.0
