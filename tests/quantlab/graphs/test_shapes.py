import pytest
import torch
from torch import Tensor, nn

from quantlab.errors import UsageError
from quantlab.graphs.shapes import evaluating, propagate_shapes, shape_of
from quantlab.graphs.trace import trace
from tests.quantlab.graphs.networks import Residual


def test_each_node_knows_its_shape() -> None:
    gm = trace(Residual(), torch.randn(2, 3, 8, 8))
    shapes = {n.name: shape_of(n) for n in gm.graph.nodes}
    assert shapes["x"] == (2, 3, 8, 8)
    assert shapes["stem"] == (2, 4, 4, 4)
    assert shapes["layer1_1_add"] == (2, 4, 4, 4)
    assert shapes["adaptive_avg_pool2d"] == (2, 4, 1, 1)
    assert shapes["fc"] == (2, 5)
    assert {n.meta["dtype"] for n in gm.graph.nodes if n.op != "output"} == {torch.float32}
    propagate_shapes(gm, torch.randn(5, 3, 6, 6))
    assert shape_of(gm.graph.find_nodes(op="call_module", target="stem")[0]) == (5, 4, 3, 3)


def test_several_tensors_and_numbers() -> None:
    class Network(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            first, second = x.chunk(2, 1)
            return first.reshape(x.size(0), -1) + second + y

    gm = trace(Network(), (torch.ones(2, 6), torch.ones(3)))
    by_name = {n.name: n for n in gm.graph.nodes}
    assert by_name["chunk"].meta["shape"] == ((2, 3), (2, 3))
    assert shape_of(by_name["chunk"]) is None
    assert by_name["size"].meta["shape"] is None
    assert shape_of(by_name["getitem_1"]) == (2, 3)
    assert shape_of(by_name["y"]) == (3,)


def test_an_example_changes_no_state() -> None:
    network = Residual().train()
    network.layer1[1].eval()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    modes = [m.training for m in network.modules()]
    generator = torch.get_rng_state()
    x = torch.randn(2, 3, 8, 8)
    torch.set_rng_state(generator)
    trace(network, x)
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    assert [m.training for m in network.modules()] == modes
    assert torch.equal(torch.get_rng_state(), generator)


def test_an_example_keeps_its_values() -> None:
    class Overwrites(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            first, _ = x.chunk(2, 1)
            first *= 2
            return x

    x = torch.ones(2, 4)
    trace(Overwrites(), x)
    assert x.eq(1).all()


def test_modes_come_back_after_an_error() -> None:
    network = Residual()

    def fail() -> None:
        assert not any(m.training for m in network.modules())
        raise KeyError

    with pytest.raises(KeyError), evaluating(network):
        fail()
    assert all(m.training for m in network.modules())


def test_an_example_that_does_not_fit() -> None:
    with pytest.raises(UsageError) as caught:
        trace(Residual(), torch.randn(2, 1, 8, 8))
    message = str(caught.value)
    assert message.startswith("example: node 'stem' (Conv2d) does not take [2, 1, 8, 8]: Given")
    assert "\n" not in message
