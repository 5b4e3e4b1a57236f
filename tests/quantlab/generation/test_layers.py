"""Generated layers against dense ones that have their weight."""

import copy
import io
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from quantlab.errors import UsageError
from quantlab.generation import (
    MLGConv2d,
    MLGLinear,
    MLGSpec,
    convert,
    orthonormality,
    orthonormality_of,
)
from quantlab.generation.factor_quantizers import factor_quantizer

QUANTIZERS = ("dorefa_sym", "lsq", "midtread")
FLOATS: dict[str, Any] = {"basis_bit": 32, "coeff_in_bit": 32, "coeff_out_bit": 32}
LAYERS: dict[str, tuple[nn.Module, MLGSpec]] = {
    "3x3": (nn.Conv2d(6, 8, 3, padding=1), MLGSpec(base_in=2, base_out=5)),
    "strided": (nn.Conv2d(6, 8, 3, stride=2, bias=False), MLGSpec(base_in=2, base_out=5)),
    "dilated": (nn.Conv2d(6, 8, 3, dilation=2), MLGSpec(base_in=1, base_out=5)),
    "rectangular": (nn.Conv2d(6, 8, (1, 5), padding="same"), MLGSpec(base_in=2, base_out=5)),
    "reflect": (nn.Conv2d(6, 8, 3, padding=1, padding_mode="reflect"), MLGSpec(base_out=5)),
    "replicate": (nn.Conv2d(6, 8, 3, padding=1, padding_mode="replicate"), MLGSpec(base_out=5)),
    "circular": (nn.Conv2d(6, 8, 3, padding=1, padding_mode="circular"), MLGSpec(base_out=5)),
    "groups": (nn.Conv2d(6, 8, 3, groups=2), MLGSpec(base_in=2, base_out=5)),
    "depthwise": (nn.Conv2d(12, 12, 3, groups=12, bias=False), MLGSpec(base_out=4)),
    "1x1": (nn.Conv2d(6, 8, 1), MLGSpec(base_out=3)),
    "no level of outputs": (nn.Conv2d(6, 8, 3), MLGSpec(base_in=2, base_out=0)),
    "no level of inputs": (nn.Conv2d(6, 8, 3), MLGSpec(base_in=0, base_out=5)),
    "stem": (nn.Conv2d(3, 64, 3), MLGSpec()),
    "linear": (nn.Linear(12, 10), MLGSpec(base_out=4)),
    "linear in blocks": (nn.Linear(12, 10), MLGSpec(base_in=2, base_out=4, linear_block=4)),
}


def sample(layer: nn.Module) -> Tensor:
    if isinstance(layer, nn.Linear):
        return torch.randn(4, layer.in_features)
    assert isinstance(layer, nn.Conv2d)
    return torch.randn(2, layer.in_channels, 7, 7)


def mean_square(weight: Tensor) -> float:
    return float(weight.detach().square().mean())


def made(name: str, **changes: Any) -> MLGConv2d | MLGLinear:
    layer, spec = LAYERS[name]
    cls = MLGLinear if isinstance(layer, nn.Linear) else MLGConv2d
    return cls.from_dense(layer, spec.model_copy(update=changes), method=None)


@pytest.mark.parametrize("name", LAYERS)
def test_computes_as_the_dense_layer_of_its_weight(name: str) -> None:
    layer, dense = made(name), copy.deepcopy(LAYERS[name][0])
    x = sample(dense)
    assert layer.weight.shape == dense.weight.shape
    assert not torch.equal(layer.weight, dense.weight)
    with torch.no_grad():
        dense.weight.copy_(layer.weight)
    torch.testing.assert_close(layer.eval()(x), dense(x))


@pytest.mark.parametrize("quantizer", QUANTIZERS)
@pytest.mark.parametrize("name", ["3x3", "1x1", "linear in blocks"])
def test_factors_are_on_their_grids(name: str, quantizer: str) -> None:
    spec = LAYERS[name][1].model_copy(update={"quantizer": quantizer})
    layer = made(name, quantizer=quantizer)
    for factor, bits in spec.bits.items():
        parameter = getattr(layer, factor)
        if parameter is None:
            continue
        grid = getattr(layer, f"{factor}_quantizer")
        assert tuple(grid.spec.codes) == spec.levels[factor]
        assert grid(parameter).unique().numel() <= 2**bits
        codes = grid.codes(parameter)
        torch.testing.assert_close(grid(parameter), codes * grid.scale)


def test_every_bit_width_and_floats() -> None:
    for bits in (1, 2, 3, 4, 5, 6, 7, 8):
        changes = {"basis_bit": bits, "coeff_in_bit": bits, "coeff_out_bit": bits}
        assert made("3x3", **changes).basis_quantizer is not None
    layer = made("3x3", **FLOATS)
    assert isinstance(layer, MLGConv2d)
    assert layer.basis_quantizer is layer.coeff_in_quantizer is layer.coeff_out_quantizer is None
    expected = torch.einsum("cr,ril,rlhw->cihw", layer.coeff_out, layer.coeff_in, layer.basis)
    torch.testing.assert_close(layer.weight, expected)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("quantizer", QUANTIZERS)
def test_the_variance_is_that_of_the_dense_weight(name: str, quantizer: str) -> None:
    layer, dense = made(name, quantizer=quantizer), LAYERS[name][0]
    assert mean_square(layer.weight) / mean_square(dense.weight) == pytest.approx(1, abs=0.25)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("quantizer", QUANTIZERS)
def test_small_weights_of_16_bits_have_a_variance(quantizer: str, dtype: torch.dtype) -> None:
    dense = nn.Conv2d(16, 16, 3)
    nn.init.normal_(dense.weight, std=1e-4)
    spec = MLGSpec.model_validate({"base_out": 8, "quantizer": quantizer})
    layer = MLGConv2d.from_dense(dense.to(dtype), spec, method=None)
    weights = layer.weight.double(), dense.weight.double()
    assert mean_square(weights[0]) / mean_square(weights[1]) == pytest.approx(1, abs=0.25)


def test_a_new_layer_has_the_variance_of_its_inputs() -> None:
    layer = MLGConv2d(32, 64, 3, spec=MLGSpec(base_out=20))
    assert mean_square(layer.weight) == pytest.approx(2 / (32 * 9), rel=0.1)
    before = layer.basis.detach().clone()
    layer.reset_parameters()
    assert not torch.equal(layer.basis, before)
    assert mean_square(layer.weight) == pytest.approx(2 / (32 * 9), rel=0.1)
    assert MLGLinear(40, 20, bias=False, spec=MLGSpec(base_out=5)).bias is None


@pytest.mark.parametrize("quantizer", QUANTIZERS)
@pytest.mark.parametrize("name", LAYERS)
def test_every_factor_moves_in_the_first_step(name: str, quantizer: str) -> None:
    layer = made(name, quantizer=quantizer)
    before = {n: p.detach().clone() for n, p in layer.named_parameters()}
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    layer(sample(layer)).square().mean().backward()
    optimizer.step()
    assert before.keys() >= {"basis"}
    assert all(not torch.equal(p, before[n]) for n, p in layer.named_parameters())


def test_gradients_of_floats() -> None:
    spec = MLGSpec(base_in=2, base_out=3, **FLOATS)
    layer = MLGConv2d(3, 4, 3, spec=spec, dtype=torch.float64)

    def computed(x: Tensor, *factors: Tensor) -> Tensor:
        values = dict(zip(("basis", "coeff_in", "coeff_out"), factors, strict=True))
        y: Tensor = torch.func.functional_call(layer, values, (x,))
        return y

    x = torch.randn(1, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    factors = [layer.basis, layer.coeff_in, layer.coeff_out]
    assert torch.autograd.gradcheck(computed, (x, *factors))


@pytest.mark.parametrize("name", ["3x3", "linear in blocks"])
def test_copies_after_a_step(name: str) -> None:
    layer = made(name)
    x = sample(layer)
    layer(x).square().mean().backward()
    others = [copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), copy.copy(layer)]
    for other in others:
        torch.testing.assert_close(other.eval()(x), layer.eval()(x))


def test_the_state_has_no_dense_weight() -> None:
    layer = made("3x3")
    state = layer.state_dict()
    assert "weight" not in state
    assert {"basis", "coeff_in", "coeff_out", "bias"} <= state.keys()
    assert not any("weight" in name for name, _ in layer.named_parameters())
    stored = io.BytesIO()
    torch.save(state, stored)
    stored.seek(0)
    other = made("3x3")
    other.load_state_dict(torch.load(stored, weights_only=True))
    torch.testing.assert_close(other.weight, layer.weight)


def test_the_dense_layer_stays_as_it_is() -> None:
    dense = nn.Conv2d(6, 8, 3)
    dense.register_forward_hook(lambda *_: None)
    before = copy.deepcopy(dense.state_dict())
    layer = MLGConv2d.from_dense(dense, MLGSpec(base_out=5))
    assert type(dense) is nn.Conv2d
    assert layer.bias is not dense.bias
    torch.testing.assert_close(dense.state_dict(), before)
    assert len(layer._forward_hooks) == 1


def test_the_weight_is_float32_under_autocast() -> None:
    layer = made("3x3")
    expected = layer.weight
    with torch.autocast("cpu", torch.bfloat16):
        weight = layer.weight
        y = layer(sample(layer))
    assert torch.equal(weight, expected)
    assert y.dtype == torch.bfloat16


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_compiles_whole() -> None:
    layer = made("3x3")
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    x = sample(layer)
    torch.testing.assert_close(compiled(x), layer(x))


def test_a_layer_on_the_meta_device() -> None:
    dense = nn.Conv2d(6, 8, 3, device="meta")
    layer = MLGConv2d.from_dense(dense, MLGSpec(base_out=5), method=None)
    assert layer.weight.shape == dense.weight.shape
    assert layer.basis.is_meta


def test_the_term_of_a_network_is_the_sum() -> None:
    network = nn.Sequential(made("3x3"), nn.ReLU(), made("linear"))
    expected = sum(
        orthonormality(layer.coeff_out, layer.coeff_in, layer.basis)
        for layer in (network[0], network[2])
    )
    torch.testing.assert_close(orthonormality_of(network), expected)
    assert float(orthonormality_of(nn.Linear(2, 2))) == 0


@pytest.mark.parametrize(
    ("layer", "spec", "message"),
    [
        (nn.Conv1d(6, 8, 3), {}, "a Conv1d given, Conv2d, Linear allowed"),
        (nn.Linear(12, 10), {}, "a Linear given for a MLGConv2d"),
        (nn.Conv2d(6, 8, 3), {"base_in": 9, "base_out": 9}, "base_in 9, base_out 9 given for a"),
        (nn.Conv2d(6, 8, 3), {"base_in": 0, "base_out": 0}, "no level then has fewer terms"),
    ],
)
def test_impossible_layers_are_refused(layer: Any, spec: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        MLGConv2d.from_dense(layer, MLGSpec(**spec))


def test_blocks_that_do_not_divide_are_refused() -> None:
    with pytest.raises(UsageError, match="linear_block: 5 given, a divisor of the 12 inputs"):
        MLGLinear(12, 10, spec=MLGSpec(base_out=4, linear_block=5))


def test_factors_larger_than_the_weight_are_refused() -> None:
    with pytest.raises(UsageError, match="its factors have 5,760 bits, at most the weight's 3,200"):
        MLGConv2d(10, 10, 1, spec=MLGSpec(base_out=20, **FLOATS))


def test_weights_cannot_be_given() -> None:
    layer = made("3x3")
    with pytest.raises(UsageError, match="weight: given for a layer that generates it"):
        layer.weight = torch.zeros(8, 6, 3, 3)
    with pytest.raises(UsageError, match="weight: given for a layer that generates it"):
        layer.weight = nn.Parameter(torch.zeros(8, 6, 3, 3))
    linear = MLGLinear(12, 10, spec=MLGSpec(base_out=4))
    with pytest.raises(UsageError, match="weight: given for a layer that generates it"):
        linear.weight = nn.Parameter(torch.zeros(10, 12))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"basis_bit": 9}, "basis_bit: 9 given, 1 to 8, or 32 for floats, allowed"),
        ({"coeff_in_bit": 0}, "coeff_in_bit: 0 given, 1 to 8"),
        ({"coeff_out_bit": 1, "quantizer": "lsq"}, "coeff_out_bit: 1 given, at least 2 allowed"),
        ({"base_out": -1}, "base_out: .*greater than or equal to 0"),
        ({"quantizer": "lqs"}, "quantizer: "),
        ({"base": 3}, "base: unknown key"),
    ],
)
def test_impossible_specs_are_refused(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        MLGSpec(**spec)


def test_factors_of_two_layers_are_in_the_term_once() -> None:
    network = nn.Sequential(nn.Conv2d(6, 6, 3), nn.Conv2d(6, 6, 3))
    network[1].weight = network[0].weight
    convert(network, {"base_in": 2, "base_out": 5})
    layer = network[0]
    expected = orthonormality(layer.coeff_out, layer.coeff_in, layer.basis)
    torch.testing.assert_close(orthonormality_of(network), expected)


@pytest.mark.parametrize("quantizer", QUANTIZERS)
@pytest.mark.parametrize("name", ["3x3", "linear"])
def test_a_layer_of_the_meta_device_is_made_whole(name: str, quantizer: str) -> None:
    """As torch makes layers without memory: to_empty, then reset_parameters."""
    layer, spec = LAYERS[name]
    cls = MLGLinear if isinstance(layer, nn.Linear) else MLGConv2d
    spec = spec.model_copy(update={"quantizer": quantizer})
    made_whole = cls.from_dense(copy.deepcopy(layer).to("meta"), spec, method=None)
    made_whole.to_empty(device="cpu")
    for x in (*made_whole.parameters(), *made_whole.buffers()):
        x.data.fill_(77)
    made_whole.reset_parameters()
    fan_in = made_whole.weight[0].numel()
    assert mean_square(made_whole.weight) == pytest.approx(2 / fan_in, rel=0.5)
    assert made_whole.bias is not None
    assert 0 < float(made_whole.bias.detach().abs().max()) <= fan_in**-0.5
    for factor in spec.bits:
        if getattr(made_whole, factor) is not None:
            fresh = factor_quantizer(spec, factor, getattr(made_whole, factor))
            assert fresh is not None
            state = made_whole.get_submodule(f"{factor}_quantizer").state_dict()
            torch.testing.assert_close(state, fresh.state_dict())
    y = made_whole.eval()(sample(layer))
    assert bool(y.isfinite().all())
