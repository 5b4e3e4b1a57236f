"""What is particular to torch.export; that both methods agree is tested with `trace`."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from quantlab.errors import UsageError
from quantlab.graphs.operations import Subtract
from quantlab.graphs.trace import trace
from tests.quantlab.graphs.networks import Grid, calls, functions, run


class Attention(nn.Module):
    """A leaf with three inputs and two outputs: from its operators it cannot be told how it was
    called."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.norm = nn.LayerNorm(4)

    def forward(self, x: Tensor) -> Tensor:
        attended, _ = self.attention(x, x, x)
        return self.norm(functional.relu(attended) + x)


def test_leaves_with_several_results_stay_operators() -> None:
    network = Attention().eval()
    before = {name: list(m._modules) for name, m in network.named_modules()}
    gm = trace(network, torch.randn(2, 3, 4), method="export")
    assert {"norm", "relu", "add"} < set(calls(gm))
    assert "attention" not in calls(gm)
    assert any(name.startswith("linear") for name in functions(gm))
    assert list(gm.state_dict()) == list(network.state_dict())
    for batch in (2, 5):
        x = torch.randn(batch, 3, 4)
        assert torch.equal(run(gm, x), run(network, x))
    assert {name: list(m._modules) for name, m in network.named_modules()} == before


class Two(nn.Module):
    """Two inputs, a leaf with two inputs in a certain order, and a dict of results."""

    def __init__(self) -> None:
        super().__init__()
        self.subtract = Subtract()
        self.bilinear = nn.Bilinear(3, 3, 2)

    def forward(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        return {"a": self.subtract(y, x), "b": self.bilinear(x, y)}


def test_several_inputs_and_results() -> None:
    network = Two()
    x, y = torch.randn(4, 3), torch.randn(4, 3)
    gm = trace(network, (x, y), method="export")
    assert sorted(calls(gm)) == ["bilinear", "subtract"]
    result = gm(x, y)
    assert torch.equal(result["a"], y - x)
    assert torch.equal(result["b"], network.bilinear(x, y))


def test_inputs_of_different_length_are_taken_as_they_are() -> None:
    class Scaled(nn.Module):
        def forward(self, x: Tensor, scale: Tensor) -> Tensor:
            return x * scale

    gm = trace(Scaled(), (torch.randn(4, 3), torch.randn(3)), method="export")
    assert calls(gm) == ["multiply"]


def test_quantizers_in_the_float_stage_would_be_lost() -> None:
    network = nn.Sequential(nn.Linear(2, 2), Grid())
    network[1].set_enabled(False)
    with pytest.raises(UsageError, match="quantizer '1' in its float stage leaves no trace"):
        trace(network, torch.randn(2, 2), method="export")


def test_dropout_that_is_always_on_stays_an_operator() -> None:
    class Network(nn.Module):
        def __init__(self, is_on: bool) -> None:
            super().__init__()
            self.is_on = is_on

        def forward(self, x: Tensor) -> Tensor:
            return functional.dropout(x, 0.5, training=self.training or self.is_on)

    for is_on, name in ((True, "dropout.default"), (False, "dropout")):
        gm = trace(Network(is_on).eval(), torch.ones(4, 9), leaves=(), method="export")
        assert [str(n.target).removeprefix("aten.") for n in gm.graph.nodes][1] == name


def test_layers_keep_no_hooks() -> None:
    network = Attention().eval()
    trace(network, torch.randn(1, 3, 4), method="export")
    assert not any(m._forward_hooks for m in network.modules())
