import pytest
import torch
from torch import Tensor, nn

from quantlab.compression.moments import observe, roots


def test_moments_are_sums_over_samples_and_places() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(4, 6, 3, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3))
    conv, linear, x = network[0], network[3], torch.randn(200, 4, 4, 4)
    observed = observe(network, x)
    assert set(observed) == {conv, linear}
    assert observed[conv].input_shape == (4, 4, 4)
    wanted = torch.einsum("ngchw,ngdhw->gcd", *2 * [x.double().unflatten(1, (2, 2))])
    torch.testing.assert_close(observed[conv].inputs_Gcc, wanted)
    y = (conv(x) - conv.bias[:, None, None]).double().unflatten(1, (2, 3))
    wanted = torch.einsum("ngohw,ngphw->gop", y, y)
    torch.testing.assert_close(observed[conv].outputs_Goo, wanted, rtol=1e-5, atol=1e-3)
    y = (network(x) - linear.bias).double()
    assert observed[linear].inputs_Gcc is None
    torch.testing.assert_close(observed[linear].outputs_Goo[0], y.mT @ y, rtol=1e-5, atol=1e-3)


def test_all_calls_of_a_layer_count() -> None:
    layer = nn.Linear(3, 3, bias=False)
    x = torch.randn(5, 3)
    once = observe(layer, x)[layer].outputs_Goo
    again = observe(layer, layer(x))[layer].outputs_Goo
    twice = observe(nn.Sequential(layer, layer), x)[layer].outputs_Goo
    torch.testing.assert_close(twice, once + again)


def test_inputs_by_name_count_too() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(input=x)

    network, x = Named(), torch.randn(5, 3)
    found, wanted = observe(network, x)[network.layer], observe(network.layer, x)[network.layer]
    assert found.input_shape == (3,)
    assert torch.equal(found.outputs_Goo, wanted.outputs_Goo)


def test_the_network_stays_as_it_is() -> None:
    network = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2), nn.Dropout()).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    observe(network, torch.randn(9, 3))
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert network.training
    assert not network[1]._forward_hooks


@pytest.mark.parametrize("size", [3, 30])
def test_roots_can_be_inverted(size: int) -> None:
    x = torch.randn(2, 5, size, dtype=torch.float64)
    x[:, :, 0] = 0
    moments = x.mT @ x
    found = roots(moments)
    torch.testing.assert_close(
        found.root_Gcc @ found.inverse_Gcc, torch.eye(size, dtype=torch.float64).expand(2, -1, -1)
    )
    largest = torch.linalg.eigvalsh(moments).max()
    torch.testing.assert_close(
        found.root_Gcc @ found.root_Gcc, moments, rtol=1e-9, atol=2e-6 * largest.item()
    )


def test_channels_that_are_always_zero_have_a_root() -> None:
    found = roots(torch.zeros(1, 2, 2, dtype=torch.float64))
    assert found.root_Gcc.isfinite().all()
    assert found.inverse_Gcc.isfinite().all()
