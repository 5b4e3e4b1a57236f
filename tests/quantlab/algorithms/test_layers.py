import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from quantlab.algorithms.layers import QUANTIZED, TARGETS, attach, carries, check_attachable
from quantlab.errors import UsageError
from quantlab.graphs.quantizers import insert_quantizers
from quantlab.graphs.trace import trace
from quantlab.quantizer import Quantizer, QuantSpec


class Doubler(Quantizer):
    """Shows that and where it was called."""

    def __init__(self) -> None:
        super().__init__(QuantSpec(num_bits=8, signed=True))
        self.register_buffer("scale", torch.ones(()))
        self.set_enabled(True)

    def observe(self, x: Tensor) -> None:
        pass

    def fake_quantize(self, x: Tensor) -> Tensor:
        return 2 * x


LAYERS = [
    (lambda: nn.Linear(3, 4), (2, 3)),
    (lambda: nn.Conv1d(2, 4, 3, padding=1, padding_mode="reflect"), (2, 2, 7)),
    (lambda: nn.Conv2d(2, 4, 3, groups=2, padding=1, padding_mode="circular"), (2, 2, 6, 6)),
    (lambda: nn.Conv2d(2, 4, 3, stride=2, dilation=2, bias=False), (2, 2, 9, 9)),
    (lambda: nn.ConvTranspose1d(2, 4, 3, stride=3, padding=1, output_padding=2), (2, 2, 7)),
    (lambda: nn.ConvTranspose2d(2, 4, 3, stride=2, groups=2, dilation=2), (2, 2, 4, 5)),
]
layers = pytest.mark.parametrize(("make", "shape"), LAYERS)


def test_every_class_is_tested() -> None:
    assert {type(make()) for make, _ in LAYERS} == set(QUANTIZED)


@layers
def test_layer_stays_what_it_was(make, shape) -> None:
    layer = make().double()
    x = torch.randn(shape, dtype=torch.float64)
    wanted, state = layer(x), layer.state_dict()
    parameters = dict(layer.named_parameters())
    before = type(layer)
    quantizer = Doubler()
    quantizer.set_enabled(False)
    attach(layer, "weight", quantizer)
    assert isinstance(layer, before)
    assert all(p is parameters[name] for name, p in layer.named_parameters())
    assert torch.equal(layer(x), wanted)
    found = layer.load_state_dict(state, strict=False)
    assert not found.unexpected_keys
    assert all(key.startswith("weight_quantizer.") for key in found.missing_keys)


@layers
@pytest.mark.parametrize("on", TARGETS)
def test_quantizer_is_where_it_says(make, shape, on) -> None:
    layer = make()
    x = torch.randn(shape)
    plain = layer(x)
    bias = 0 if layer.bias is None else layer(torch.zeros_like(x))
    attach(layer, on, Doubler())
    wanted = 2 * plain if on == "output" else 2 * (plain - bias) + bias
    torch.testing.assert_close(layer(x), wanted)
    assert list(carries(layer)) == [on]
    assert f"{on}_quantizer" in dict(layer.named_children())


@layers
def test_copies_are_their_own(make, shape) -> None:
    layer = make()
    attach(layer, "input", Doubler())
    twin = copy.deepcopy(layer)
    x = torch.randn(shape)
    assert torch.equal(twin(x), layer(x))
    twin.input_quantizer.set_enabled(False)
    assert layer.input_quantizer.is_enabled


def test_shared_layer_and_mode_and_repr() -> None:
    shared = nn.Linear(2, 2)
    network = nn.Sequential(shared, nn.ReLU(), shared).eval()
    attach(shared, "weight", Doubler())
    assert network[0] is network[2]
    assert not shared.weight_quantizer.training
    assert "8 bits signed per_tensor, fake-quantized" in repr(network)


def test_second_quantizer_is_refused() -> None:
    layer = nn.Linear(2, 2)
    attach(layer, "input", Doubler())
    attach(layer, "output", Doubler())
    with pytest.raises(UsageError, match="input_quantizer: a second one given"):
        attach(layer, "input", Doubler())


def test_other_classes_are_refused() -> None:
    class Own(nn.Linear):
        pass

    with pytest.raises(UsageError, match=r"fc: a Own given, Linear, .*ConvTr.* allowed"):
        check_attachable(Own(2, 2), "fc")
    assert carries(Own(2, 2)) == {}


def test_weights_that_are_computed_are_refused() -> None:
    layer = nn.Linear(2, 2)
    prune.l1_unstructured(layer, "weight", 0.5)
    with pytest.raises(UsageError, match=r"layer 'fc': a weight computed by .*prune\.remove"):
        check_attachable(layer, "fc")


def test_meta_device_survives() -> None:
    layer = nn.Linear(2, 2, device="meta")
    attach(layer, "input", Doubler())
    assert layer.input_quantizer.scale.device.type == "meta"


def test_a_quantizer_that_a_graph_put_on_the_edge_stays_there() -> None:
    layer = nn.Conv2d(3, 4, 3)
    gm = trace(nn.Sequential(layer))
    on_edge, on_weight = Doubler(), Doubler()
    insert_quantizers(gm, ["0"], lambda path: on_edge)
    attach(layer, "weight", on_weight)
    assert layer.output_quantizer is on_edge
    x = torch.randn(2, 3, 5, 5)
    wanted = 2 * nn.functional.conv2d(x, 2 * layer.weight, layer.bias)
    assert torch.equal(gm(x), wanted)
