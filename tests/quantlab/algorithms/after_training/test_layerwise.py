import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from quantlab.algorithms import quantize
from quantlab.algorithms.after_training import calibrate
from quantlab.algorithms.after_training.bias_correction import correct_biases
from quantlab.algorithms.after_training.layerwise import (
    before_relu,
    call_order,
    inputs_of,
    present_weight,
    respond,
)
from quantlab.errors import UsageError

W4 = {"kind": "ste", "num_bits": 4}


class Wired(nn.Module):
    """Layers defined in another order than they are called in; `wiring` calls them."""

    def __init__(self, wiring: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.b, self.a = nn.Linear(3, 3), nn.Linear(3, 3)
        self.relu = nn.ReLU(inplace=True)
        self.wiring = wiring

    def forward(self, x: Tensor) -> Tensor:
        return self.wiring(self, x)


def layers(network: nn.Module) -> dict[str, nn.Module]:
    return {name: m for name, m in network.named_modules() if isinstance(m, nn.Linear)}


def test_order_and_number_of_calls() -> None:
    network = Wired(lambda net, x: net.a(net.b(net.a(x)))).train()
    calls = call_order(network, layers(network), torch.randn(2, 3))
    assert list(calls.items()) == [("a", 2), ("b", 1)]
    assert network.training
    assert not network.a._forward_pre_hooks


def test_a_layer_that_is_not_called() -> None:
    network = Wired(lambda net, x: net.a(x))
    with pytest.raises(UsageError, match=r"^b: not called by the network"):
        call_order(network, layers(network), torch.randn(2, 3))


def test_inputs_of_all_calls_and_no_further() -> None:
    reached = []

    def wiring(net: nn.Module, x: Tensor) -> Tensor:
        y = net.a(net.a(x))
        reached.append(y)
        return net.b(y)

    network = Wired(wiring)
    batches = [torch.randn(2, 3), torch.randn(5, 3)]
    found = list(inputs_of(network, network.a, 2, batches))
    assert not reached
    for index, x in enumerate(batches):
        assert torch.equal(found[2 * index], x)
        assert torch.equal(found[2 * index + 1], network.a(x))
    assert not network.a._forward_pre_hooks


def test_inputs_are_those_behind_the_quantizer(network, batches, rules) -> None:
    quantize(network, rules(("*", "weight", W4), ("*", "input", W4), ("*", "output", W4)))
    calibrate(network, batches)
    network.eval()
    x, _ = batches[0]
    (found,) = inputs_of(network, network[2], 1, [x])
    wanted = network[2].input_quantizer(network[:2](x))
    assert torch.equal(found, wanted)
    y = network[2].output_quantizer(respond(network[2], found, present_weight(network[2])))
    assert torch.equal(y, network[:3](x))


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (nn.Linear(3, 4), torch.randn(2, 5, 3)),
        (nn.Linear(3, 4, bias=False), torch.randn(2, 3)),
        (nn.Conv1d(4, 6, 3, groups=2, stride=2), torch.randn(2, 4, 9)),
        (nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), torch.randn(2, 2, 5, 5)),
    ],
)
def test_respond_is_the_layer(layer: nn.Module, x: Tensor) -> None:
    weight = layer.get_parameter("weight")
    assert torch.equal(respond(layer, x, weight), layer(x))
    found = respond(layer, x, weight.detach().requires_grad_())
    found.sum().backward()
    assert all(p.grad is None for p in layer.parameters())


WIRINGS: dict[str, tuple[Callable[[nn.Module, Tensor], Tensor], set[str]]] = {
    "module in place": (lambda net, x: net.b(net.relu(net.a(x))), {"a"}),
    "function": (lambda net, x: functional.relu(net.b(functional.relu(net.a(x)))), {"a", "b"}),
    "method in place": (lambda net, x: net.a(x).relu_() + net.b(x), {"a"}),
    "read by others": (lambda net, x: [y := net.a(x), net.b(y.relu()) + y][-1], set()),
    "read twice by ReLUs": (lambda net, x: [y := net.a(x), y.relu() + net.b(y.relu())][-1], {"a"}),
    "other activation": (lambda net, x: net.b(net.a(x).clamp(min=0)), set()),
    "pooled first": (lambda net, x: net.b(functional.max_pool1d(net.a(x), 1).relu()), set()),
}


@pytest.mark.parametrize("name", WIRINGS)
def test_before_relu(name: str) -> None:
    wiring, wanted = WIRINGS[name]
    network = Wired(wiring)
    assert before_relu(network, layers(network), torch.randn(2, 3)) == wanted
    assert not network.a._forward_hooks


def test_an_output_of_the_network_is_read_by_its_caller() -> None:
    def wiring(net: nn.Module, x: Tensor) -> Tensor:
        y: Tensor = net.a(x)
        net.b(y.relu())
        return y

    network = Wired(wiring)
    assert before_relu(network, layers(network), torch.randn(2, 3)) == set()


def test_quantizers_that_rest_are_no_readers(network, batches, rules) -> None:
    quantize(network, rules(("*", "output", W4)))
    found = before_relu(network, {"0": network[0], "2": network[2]}, batches[0][0])
    assert found == {"0"}


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.ConvTranspose1d(4, 6, 3, stride=2, output_padding=1), (2, 4, 5)),
        (nn.ConvTranspose2d(4, 6, 3, padding=1, groups=2), (2, 4, 5, 5)),
    ],
)
def test_transposed_convolutions_respond_and_their_biases_are_corrected(
    layer: nn.Module, shape: tuple[int, ...]
) -> None:
    network = nn.Sequential(layer)
    x = torch.randn(shape)
    reference = copy.deepcopy(network)
    quantize(network, [{"select": "*", "on": "weight", "algorithm": W4}])
    calibrate(network, [x])
    torch.testing.assert_close(respond(layer, x, present_weight(layer)), network(x))
    correct_biases(network, [x], reference=reference)
    axes = (0, *range(2, x.ndim))
    torch.testing.assert_close(network(x).mean(axes), reference(x).mean(axes))
