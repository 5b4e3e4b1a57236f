import pytest
from torch import fx, nn

from quantlab.errors import UsageError
from quantlab.graphs.paths import add_module, callers, fresh_path, join, module_of, node_named
from tests.quantlab.graphs.networks import Block, Residual


def test_modules_and_their_nodes() -> None:
    gm = fx.symbolic_trace(Block())
    names = {type(m).__name__: [n.name for n in nodes] for m, nodes in callers(gm).items()}
    assert names["ReLU"] == ["relu", "relu_1"]
    assert names["Conv2d"] == ["conv2"]  # of two, the dict keeps the later one
    assert [type(module_of(gm, n)).__name__ for n in gm.graph.nodes][:2] == ["NoneType", "Conv2d"]


def test_nodes_by_name_or_path() -> None:
    gm = fx.symbolic_trace(Residual())
    by_path = node_named(gm, "layer1.0.conv1")
    assert by_path is node_named(gm, "layer1_0_conv1")
    assert by_path.target == "layer1.0.conv1"
    with pytest.raises(
        UsageError, match=r"'layer1.0.relu': called by layer1_0_relu, layer1_0_relu_1"
    ):
        node_named(gm, "layer1.0.relu")
    with pytest.raises(UsageError, match=r"'layer1.7': no node has this name"):
        node_named(gm, "layer1.7")


def test_fresh_paths() -> None:
    network = Residual()
    assert fresh_path(network, "layer1.0.add") == "layer1.0.add"
    assert fresh_path(network, "layer1.0.relu") == "layer1.0.relu_1"
    assert fresh_path(network, "fc") == "fc_1"
    assert fresh_path(network, "forward") == "forward_1"  # not only modules are in the way
    assert fresh_path(network, "new.place.add") == "new.place.add"
    network.layer1[0].relu_1 = nn.ReLU()
    assert fresh_path(network, "layer1.0.relu") == "layer1.0.relu_2"
    assert join("", "a", "", "b.c") == "a.b.c"


def test_adding() -> None:
    gm = fx.symbolic_trace(Residual())
    assert add_module(gm, "layer1.0.relu", nn.ReLU()) == "layer1.0.relu_1"
    assert isinstance(gm.get_submodule("layer1.0.relu_1"), nn.ReLU)
    with pytest.raises(UsageError, match="lies below what is not a module"):
        add_module(gm, "stem.weight.add", nn.ReLU())
