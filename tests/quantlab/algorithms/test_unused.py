import torch
from torch import Tensor, nn
from torch.nn import functional

from quantlab.algorithms import quantize, unused_quantizers
from quantlab.algorithms.after_training import calibrate

LSQ = {"kind": "lsq", "num_bits": 4}


class PassesBy(nn.Module):
    """Calls `a`, reads the weight of `b`, and leaves `c` out; `a` and `table` share a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(4, 4)
        self.a, self.b, self.c = (nn.Linear(4, 4) for _ in range(3))
        self.a.weight = self.table.weight

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(self.a(self.table(x)), self.b.weight)


def test_layers_that_are_passed_by_are_named_once(rules) -> None:
    network = PassesBy()
    quantize(network, rules(("*", "weight", LSQ), ("b", "input", LSQ)))
    network(torch.tensor([0, 1]))
    b, c, a = unused_quantizers(network)
    assert b.startswith("b: weight_quantizer and input_quantizer never ran; the network must call")
    assert b.endswith("'!b'")
    assert c.startswith("c: weight_quantizer never ran")
    assert a.startswith("a: its weight is also that of 'table', which reads it in float")


def test_none_is_unused(rules) -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    assert unused_quantizers(network) == []
    quantize(network, rules(("*", "weight", LSQ), ("*", "input", LSQ)))
    assert len(unused_quantizers(network)) == 2
    network(torch.randn(2, 4))
    assert unused_quantizers(network) == []


def test_a_network_that_is_a_layer(rules) -> None:
    layer = nn.Linear(4, 4)
    quantize(layer, rules(("*", "weight", LSQ)))
    (line,) = unused_quantizers(layer)
    assert line.startswith("network: weight_quantizer never ran")


def test_a_compiled_network_is_seen(rules) -> None:
    network = nn.Sequential(nn.Linear(4, 4))
    quantize(network, rules(("*", "weight", LSQ)))
    torch.compile(network, backend="eager")(torch.randn(2, 4))
    assert unused_quantizers(network) == []


def test_calibration_names_them(rules) -> None:
    network = PassesBy()
    quantize(network, rules(("*", "weight", LSQ)))
    done = calibrate(network, [torch.tensor([0, 1])])
    assert list(done.unused) == unused_quantizers(network)
    assert len(done.unused) == 3
    assert str(done).splitlines()[-1] == f"note: {done.unused[-1]}"
