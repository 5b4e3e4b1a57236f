"""Packs compute what their networks do, from the same codes."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import quantlab
from quantlab.errors import UsageError
from quantlab.generation import MLGConv2d, MLGLinear, MLGSpec, convert
from quantlab.packs import from_bytes, make_pack, pack_sizes, to_bytes
from tests.quantlab.packs.networks import images, quantized, small, with_statistics

TOLERANCE = {"float32": 1e-5, "float16": 5e-3, "int8": 5e-2}  # of the largest score

SPECS = {
    "odd codes": MLGSpec(base_in=2, base_out=6),
    "8 bits": MLGSpec(base_in=2, base_out=6, basis_bit=8, coeff_in_bit=8, coeff_out_bit=8),
    "1 bit": MLGSpec(base_in=2, base_out=6, basis_bit=1, coeff_in_bit=1, coeff_out_bit=1),
    "lsq": MLGSpec(base_in=2, base_out=6, quantizer="lsq"),
    "midtread": MLGSpec(base_in=2, base_out=6, quantizer="midtread", coeff_in_bit=2),
    "floats": MLGSpec(base_in=2, base_out=6, basis_bit=32, coeff_in_bit=32, coeff_out_bit=32),
    "no outputs": MLGSpec(base_in=0, base_out=6),
    "blocks": MLGSpec(base_in=2, base_out=6, linear_block=4),
}


def distance(network: nn.Module, pack: Any) -> float:
    with torch.no_grad():
        expected = network(images()).numpy()
    return float(np.abs(pack.scores(images().numpy()) - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("floats", TOLERANCE)
@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_scores_are_those_of_the_network(spec: MLGSpec, floats: Any) -> None:
    network = small(spec)
    pack = make_pack(network, images(), floats=floats)
    read = from_bytes(to_bytes(pack), "x")
    assert distance(network, read) < TOLERANCE[floats]
    assert np.array_equal(read.scores(images().numpy()), pack.scores(images().numpy()))


def test_fewer_bits_of_floats_take_fewer_bytes() -> None:
    names: list[Any] = ["float32", "float16", "int8"]
    sizes = [len(to_bytes(make_pack(small(), images(), floats=name))) for name in names]
    assert sizes[0] > sizes[1] > sizes[2]


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("is_coded", [False, True])
def test_codes_are_those_of_the_layers(spec: MLGSpec, *, is_coded: bool) -> None:
    network = small(spec)
    read = from_bytes(to_bytes(make_pack(network, images()), is_coded=is_coded), "x")
    names = {n for n, m in network.named_modules() if isinstance(m, MLGConv2d | MLGLinear)}
    assert set(read.weights) == names
    for name, weight in read.weights.items():
        for part, numbers in weight.parts.items():
            latent = network.get_parameter(f"{name}.{part}")
            quantizer: Any = getattr(network.get_submodule(name), f"{part}_quantizer")
            expected = latent if quantizer is None else quantizer.codes(latent)
            assert np.array_equal(numbers.values, expected.detach().numpy())


@pytest.mark.parametrize(
    ("kind", "settings", "num_bits", "is_odd"),
    [
        ("lsq", {"num_bits": 4}, 4, False),
        ("lsq", {"num_bits": 4, "granularity": "per_axis:0"}, 4, False),
        ("dorefa", {"num_bits": 3}, 3, True),
        ("twn", {}, 2, False),
    ],
)
def test_quantized_weights_are_kept_as_codes(
    kind: str, settings: dict[str, Any], num_bits: int, *, is_odd: bool
) -> None:
    network = quantized(kind, **settings)
    read = from_bytes(to_bytes(make_pack(network, images())), "x")
    assert distance(network, read) < 1e-5
    assert set(read.weights) == {"0", "3", "5"}
    for name, weight in read.weights.items():
        layer: Any = network.get_submodule(name)
        numbers = weight.parts["weight"]
        assert (numbers.num_bits, numbers.is_odd) == (num_bits, is_odd)
        assert np.array_equal(numbers.values, layer.weight_quantizer.codes(layer.weight).numpy())


def test_outputs_without_weights_take_no_factors_of_their_own() -> None:
    network = quantized("lsq", num_bits=4, granularity="per_tensor")
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Linear):
                module.weight[1::2] = 0
    pack = make_pack(network, images())
    linear = [source for source in pack.sources.values() if source.name == "5"]
    assert linear
    assert all(len(source.ratios) == 1 for source in linear)
    assert distance(network, pack) < 1e-5


def test_a_layer_that_is_used_twice_is_stored_once() -> None:
    layer = MLGConv2d(3, 3, 3, padding=1, spec=MLGSpec(base_in=2, base_out=2))
    network = nn.Sequential(layer, nn.Tanh(), layer, nn.Flatten()).eval()
    pack = make_pack(network, images())
    assert len(pack.weights) == 1
    assert len(pack.sources) == 2
    assert {source.name for source in pack.sources.values()} == {"0"}
    assert distance(network, from_bytes(to_bytes(pack), "x")) < 1e-5


def test_weights_that_layers_share_are_stored_once() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 3, 3, padding=2)
    )
    network.get_submodule("3").register_parameter("weight", network.get_parameter("0.weight"))
    convert(network, {"base_in": 2, "base_out": 2})
    with_statistics(network)
    data = to_bytes(make_pack(network, images()))
    parts = [size.part for size in pack_sizes(data)]
    assert [parts.count(part) for part in ("basis", "coeff_in", "coeff_out")] == [1, 1, 1]
    assert distance(network, from_bytes(data, "x")) < 1e-5


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_paddings_other_than_by_zeros(mode: Any) -> None:
    spec = MLGSpec(base_in=2, base_out=2)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=(2, 1), padding_mode=mode),
        MLGConv2d(4, 4, 3, padding=1, padding_mode=mode, bias=False, spec=spec),
        nn.BatchNorm2d(4),
        nn.Flatten(),
    ).eval()
    read = from_bytes(to_bytes(make_pack(network, images())), "x")
    assert list(read.weights) == ["1"]
    assert distance(network, read) < 1e-5


def test_the_network_stays_as_it_is() -> None:
    network = small().train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    make_pack(network, images())
    assert network.training
    assert all(torch.equal(before[name], x) for name, x in network.state_dict().items())
    assert isinstance(network.get_submodule("conv"), MLGConv2d)


def test_what_has_no_form() -> None:
    wrong = list[Any](["float61", 3])
    with pytest.raises(
        UsageError, match="floats: 'float61' given, float32, float16, int8 allowed; did"
    ):
        make_pack(small(), images(), floats=wrong[0])
    with pytest.raises(UsageError, match=r"network: a int given, a torch\.nn\.Module allowed"):
        make_pack(wrong[1], images())


INPUTS: dict[str, dict[str, Any]] = {
    "lsq": {"num_bits": 8},
    "ste": {"num_bits": 4},
    "pact": {"num_bits": 5},
    "dorefa": {"num_bits": 6},
}


@pytest.mark.parametrize("kind", INPUTS)
def test_quantizers_of_inputs_and_outputs_are_part_of_the_pack(kind: str) -> None:
    network = small()
    algorithm = {"kind": kind, **INPUTS[kind]}
    inputs = "conv | down | hidden | fc" if kind in ("pact", "dorefa") else "*"
    rules = [{"select": inputs, "on": "input", "algorithm": algorithm}]
    if kind == "lsq":
        rules.append({"select": "relu", "on": "output", "algorithm": algorithm})
    quantlab.quantize(network, rules)
    quantlab.calibrate(network, [images(16)])
    read = from_bytes(to_bytes(make_pack(network, images())), "x")
    functions = [one.function.name for one in read.program.operations if one.function is not None]
    assert functions.count("on_grid") == {"lsq": 6, "ste": 5}.get(kind, 4)
    with torch.no_grad():
        expected = network(images(64)).numpy()
    # Sums in another order move a few numbers from one level to the next.
    found = read.scores(images(64).numpy())
    assert np.median(np.abs(found - expected).max(1)) < 1e-4 * np.abs(expected).max()


def test_a_layer_with_a_quantized_input_may_be_used_twice() -> None:
    layer = MLGConv2d(3, 3, 3, padding=1, spec=MLGSpec(base_in=2, base_out=2))
    network = nn.Sequential(layer, nn.Tanh(), layer, nn.Flatten()).eval()
    algorithm = {"kind": "lsq", "num_bits": 8}
    quantlab.quantize(network, [{"select": "0", "on": "input", "algorithm": algorithm}])
    quantlab.calibrate(network, [images()])
    read = from_bytes(to_bytes(make_pack(network, images())), "x")
    assert len(read.weights) == 1
    assert {source.name for source in read.sources.values()} == {"0"}
    assert distance(network, read) < 0.01


def test_floats_beyond_16_bits_are_refused() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 2)).eval()
    with torch.no_grad():
        network.get_parameter("1.bias").fill_(1e5)
    with pytest.raises(UsageError, match=r"1\.bias: 1e\+05 given, at most 6\.55e\+04 allowed as"):
        make_pack(network, images(), floats="float16")
    assert distance(network, make_pack(network, images())) < 1e-5


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("make", [small, lambda: quantized("lsq", num_bits=4)])
def test_networks_of_other_floats_are_packed(make: Any, dtype: torch.dtype) -> None:
    network = make().to(dtype)
    batch = images().to(dtype)
    read = from_bytes(to_bytes(make_pack(network, batch)), "x")
    assert read.weights
    with torch.no_grad():
        expected = network(batch).double().numpy()
    found = read.scores(images().numpy())
    tolerance = max(1e-5, 16 * torch.finfo(dtype).eps)  # of sums that the network rounds
    assert np.abs(found - expected).max() < tolerance * np.abs(expected).max()


class Shifted(nn.BatchNorm2d):
    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input) + 1


class Doubled(nn.ReLU):
    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(2 * input)


class Halved(nn.MaxPool2d):
    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input) / 2


@pytest.mark.parametrize("layer", [Shifted(4), Doubled(), Halved(2)], ids=str)
def test_forward_passes_of_their_own_are_refused(layer: nn.Module) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), layer, nn.Flatten()).eval()
    line = f"'1'.*{type(layer).__name__} with a forward pass of its own"
    with pytest.raises(UsageError, match=line):
        make_pack(network, images())


@pytest.mark.parametrize("place", [0, 1])
def test_hooks_of_layers_are_refused(place: int) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten()).eval()
    network[place].register_forward_hook(lambda module, args, y: y * 2)
    with pytest.raises(UsageError, match=f"'{place}'.* with a hook has no form here"):
        make_pack(network, images())
