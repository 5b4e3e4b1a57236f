"""Quantized sparse layers against sums of integers, on every instruction set that runs here."""

import copy
import sys
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from quantlab import _backend, backend
from quantlab.errors import UsageError
from quantlab.sparse import (
    QuantizedSparseConv2d,
    QuantizedSparseLinear,
    SparseConv2d,
    SparseLayer,
)
from quantlab.sparse.geometry import Geometry
from quantlab.sparse.pattern import Pattern
from quantlab.sparse.plan import canonical, plan
from tests.quantlab.sparse.cases import CONVOLUTIONS, Convolution
from tests.quantlab.sparse.guarded import guarded
from tests.quantlab.sparse.int8 import expected, nearest, scale_of, stochastic

ISAS = backend.kernels("sparse_product_int8")
DRAWS = 4096


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    before = backend.isa()
    _backend.activate(request.param)
    yield request.param
    _backend.activate(before)


def results(
    layer: SparseLayer, x: Tensor, y_gradient: Tensor | None = None, seed: int = 0
) -> tuple[Tensor, Tensor, list[Tensor], int]:
    """Return the output, its gradient, those that follow, and the seed that the layer draws."""
    torch.default_generator.manual_seed(seed)  # torch.manual_seed keeps a stack trace for each GPU
    drawn = int(torch.randint(2**63 - 1, ()))
    torch.default_generator.manual_seed(seed)
    x = x.detach().clone().requires_grad_()
    y = layer(x)
    if y_gradient is None:
        y_gradient = torch.randn(y.shape, generator=torch.Generator().manual_seed(seed + 1))
    found = torch.autograd.grad(y, [x, *layer.parameters()], y_gradient)
    return y.detach(), y_gradient, list(found), drawn


def assert_exact(conv: nn.Conv2d, x: Tensor) -> None:
    layer = QuantizedSparseConv2d.from_dense(conv)
    y, y_gradient, (x_gradient, weight, bias), seed = results(layer, x)
    wanted = expected(conv, x, y_gradient, seed)
    assert torch.equal(y, wanted.y)
    assert torch.equal(x_gradient, wanted.x_gradient)
    assert torch.equal(weight, layer.pattern.gather(wanted.weight))
    assert torch.equal(bias, y_gradient.sum([0, 2, 3]))


@settings(max_examples=80, deadline=None)
@given(CONVOLUTIONS)
def test_convolutions_of_all_shapes(case: Convolution) -> None:
    before = backend.isa()
    try:
        for name in ISAS:
            _backend.activate(name)
            assert_exact(case.dense(torch.float32), case.images(torch.float32))
    finally:
        _backend.activate(before)


@pytest.mark.parametrize("num_threads", [1, 2, 4])
def test_any_number_of_threads(isa: str, num_threads: int) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(48, 40, 3, padding=1)
    with torch.no_grad():
        conv.weight.mul_(torch.rand_like(conv.weight) < 0.2)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(num_threads)
        assert_exact(conv, torch.randn(32, 48, 12, 11))
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("shape", [(1, 7), (3, 7), (130, 7), (2, 5, 7), (0, 7), (7,)])
@pytest.mark.parametrize("has_bias", [True, False])
def test_linear_layers(isa: str, shape: tuple[int, ...], has_bias: bool) -> None:
    torch.manual_seed(0)
    linear = nn.Linear(7, 5, has_bias)
    with torch.no_grad():
        linear.weight.mul_(torch.rand(5, 7) < 0.5)
    conv = nn.Conv2d(7, 5, 1, bias=has_bias)
    conv.load_state_dict({**linear.state_dict(), "weight": linear.weight[:, :, None, None]})
    layer, x = QuantizedSparseLinear.from_dense(linear), torch.randn(shape)
    y, y_gradient, (x_gradient, weight, *_), seed = results(layer, x)
    flat = (t.reshape(-1, t.shape[-1], 1, 1) for t in (x, y_gradient))
    wanted = expected(conv, *flat, seed)
    assert torch.equal(y, wanted.y.reshape(y.shape))
    assert torch.equal(x_gradient, wanted.x_gradient.reshape(x.shape))
    assert torch.equal(weight, layer.pattern.gather(wanted.weight[:, :, 0, 0]))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs mprotect of Linux")
@pytest.mark.parametrize("batch", [1, 5, 31, 33, 63, 65, 130, 200])
def test_nothing_behind_arrays_is_touched(isa: str, batch: int) -> None:
    """Each array ends where the next page may not be touched; the rest is a crash."""
    pattern = Pattern.of_mask(torch.ones(3, 2))
    made = plan(canonical(pattern, Geometry()), Geometry(), (batch, 2))
    rng = np.random.default_rng(batch)
    x, y = (rng.integers(1, 256, n * batch, dtype=np.uint8) for n in (2, 3))
    x_end, y_end = guarded(x), guarded(y)
    weights = guarded(rng.integers(-127, 128, made.product_int8.num_weights, dtype=np.int8))
    weights.reshape(3, 4)[:, 2:] = 0  # two connections, filled up to four
    ones, out = guarded(np.ones(3, np.float32)), guarded(np.zeros(3 * batch, np.float32))
    backend.sparse_product_int8(made.product_int8, x_end, weights, ones, ones, out)
    wanted = (
        weights.reshape(3, 4)[:, :2].astype(np.int64) @ (x.reshape(2, batch).astype(np.int64) - 128)
        + 1
    )
    assert np.array_equal(out.reshape(3, batch), wanted)
    gradients = guarded(np.zeros(6, np.float32))
    backend.sparse_gradient_int8(made.gradient, x_end, y_end, 1.0, gradients)
    signed_x, signed_y = (codes.reshape(-1, batch).astype(np.int64) - 128 for codes in (x, y))
    assert np.array_equal(gradients.reshape(2, 3), signed_x @ signed_y.T)
    samples = guarded(rng.standard_normal(2 * batch).astype(np.float32))
    backend.lay_out_int8(made.x_layout, samples, x_end, float(scale_of(np.float32(9))), seed=1)
    codes = stochastic(samples.reshape(batch, 2), scale_of(np.float32(9)), 1)
    assert np.array_equal(x_end.reshape(2, batch).T - 128.0, codes)


def test_the_largest_sums(isa: str) -> None:
    """2^31 - 1 has room for 133,144 products of 127 by 127; gradients have no such limit."""
    wide = QuantizedSparseLinear(torch.ones(1, 133_144), None)
    assert wide(torch.ones(1, 133_144)).item() == pytest.approx(133_144, rel=1e-6)
    narrow, x = QuantizedSparseLinear(torch.ones(1, 1), None), torch.ones(140_000, 1)
    _, _, (_, weight), _ = results(narrow, x, torch.ones(140_000, 1))
    assert weight.item() == pytest.approx(140_000, rel=1e-6)
    _, _, (_, weight), _ = results(narrow, x, -torch.ones(140_000, 1))
    assert weight.item() == pytest.approx(-140_000, rel=1e-6)


@pytest.mark.parametrize("variant", backend.kernels("quantize_rows"))
def test_rows_of_any_length_and_of_the_smallest_numbers(variant: str) -> None:
    """A scale below the normal numbers is far from a part of 127: codes end at 127 all the same."""
    rng = np.random.default_rng(0)
    for length in (1, 3, 15, 63, 64, 65, 130, 5000):
        weight = rng.standard_normal((3, length)).astype(np.float32)
        weight[1] = np.ldexp(rng.integers(64, 190, length).astype(np.float32), -149)
        weight[2] = 0
        layer = QuantizedSparseLinear(torch.from_numpy(weight), None, torch.ones(3, length))
        rows = layer.plan_for(torch.ones(1, length)).product_int8
        codes, scales = np.empty(rows.num_weights, np.int8), np.empty(3, np.float32)
        backend.quantize_rows(rows, layer.weight.detach().numpy(), codes, scales, variant=variant)
        wanted = scale_of(np.abs(weight).max(axis=1))
        assert np.array_equal(scales, wanted)
        found = codes.reshape(3, -1)
        assert np.array_equal(found[:, :length], nearest(weight, wanted[:, None]))
        assert not found[:, length:].any()


def pruned(weight: Tensor, sparsity: float) -> Tensor:
    limit = weight.abs().flatten().kthvalue(int(sparsity * weight.numel())).values
    return weight * (weight.abs() > limit)


@pytest.mark.parametrize("sparsity", [0.8, 0.9, 0.95, 0.98])
def test_pruned_layers_are_near_to_the_exact_ones(sparsity: float) -> None:
    torch.manual_seed(0)
    weight, x = pruned(torch.randn(256, 512), sparsity), torch.randn(128, 512)
    wanted = x.double() @ weight.double().T
    y = QuantizedSparseLinear(weight, None)(x)
    assert ((y - wanted).norm() / wanted.norm()).item() <= 0.02
    conv = nn.Conv2d(32, 32, 3, padding=1, bias=False)
    conv.weight.data = pruned(torch.randn(32, 32, 3, 3), sparsity)
    x = torch.randn(8, 32, 9, 9)
    y, wanted = QuantizedSparseConv2d.from_dense(conv)(x), copy.deepcopy(conv).double()(x.double())
    assert ((y - wanted).norm() / wanted.norm()).item() <= 0.02


needs_stochastic_rounding = pytest.mark.skipif(
    not backend.HAS_STOCHASTIC_ROUNDING,
    reason="needs stochastic rounding: built with -DSTOCHASTIC_ROUNDING_DISABLED=1",
)


@needs_stochastic_rounding
@pytest.mark.parametrize("variant", backend.kernels("planes_int8"))
def test_stochastic_rounding_is_unbiased(variant: str) -> None:
    numbers = np.linspace(-1, 1, 51, dtype=np.float32).reshape(17, 3)
    layout = backend.PlaneLayout(3, np.zeros(1, np.int64), 1)
    scale = scale_of(np.float32(1))
    total, planes = np.zeros((17, 3)), np.empty(51, np.uint8)
    for seed in np.random.default_rng(0).integers(0, 2**63, DRAWS):
        backend.lay_out_int8(
            layout, numbers.reshape(-1), planes, float(scale), seed=int(seed), variant=variant
        )
        codes = planes.reshape(3, 17).T - 128.0
        assert np.array_equal(codes, stochastic(numbers, scale, int(seed)))
        total += codes
    wanted = numbers.astype(np.float64) / float(scale)
    part = wanted - np.floor(wanted)
    sigma = np.sqrt(part * (1 - part) / DRAWS)
    assert (np.abs(total / DRAWS - wanted) <= 5 * sigma + 1e-4).all()


@needs_stochastic_rounding
def test_gradients_are_unbiased() -> None:
    torch.manual_seed(3)
    layer, x = QuantizedSparseLinear(torch.randn(4, 6), None), torch.randn(5, 6)
    y_gradient = torch.randn(5, 4)
    found = [results(layer, x, y_gradient, seed)[2] for seed in range(DRAWS)]
    # Both factors that are rounded to nearest have the same codes in each draw.
    x_scale, scales = scale_of(x.abs().max().numpy()), layer.dense_weight().abs().amax(0) / 127
    x_near = torch.round(x / float(x_scale)).double() * float(x_scale)
    w_near = (torch.round(layer.dense_weight() / scales).double() * scales).detach()
    wanted_x, wanted_weight = y_gradient.double() @ w_near, y_gradient.T.double() @ x_near
    for place, wanted in enumerate([wanted_x, layer.pattern.gather(wanted_weight)]):
        draws = torch.stack([one[place] for one in found]).double()
        sigma = draws.std(0) / DRAWS**0.5
        assert (sigma > 0).all()
        assert ((draws.mean(0) - wanted).abs() <= 5 * sigma).all()


@needs_stochastic_rounding
def test_the_generator_of_torch_decides() -> None:
    layer, x = QuantizedSparseLinear(torch.randn(9, 8), None), torch.randn(30, 8)
    y_gradient = torch.randn(30, 9)
    one, same, other = (results(layer, x, y_gradient, seed)[2] for seed in (1, 1, 2))
    for a, b, c in zip(one, same, other, strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)


@pytest.mark.skipif(
    backend.HAS_STOCHASTIC_ROUNDING, reason="needs a build with -DSTOCHASTIC_ROUNDING_DISABLED=1"
)
def test_every_seed_gives_the_same_without_stochastic_rounding() -> None:
    layer, x = QuantizedSparseLinear(torch.randn(9, 8), None), torch.randn(30, 8)
    y_gradient = torch.randn(30, 9)
    one, other = (results(layer, x, y_gradient, seed)[2] for seed in (1, 2))
    for a, b in zip(one, other, strict=True):
        assert torch.equal(a, b)


def test_without_gradients_nothing_is_drawn() -> None:
    layer, x = QuantizedSparseLinear(torch.randn(9, 8), None), torch.randn(30, 8)
    before = torch.get_rng_state()
    with torch.no_grad():
        layer(x)
    layer.requires_grad_(False)(x)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_byte_is_kept_of_each_number() -> None:
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    layer, x = QuantizedSparseLinear(torch.randn(9, 8), torch.randn(9)), torch.randn(30, 8)
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        layer(x.requires_grad_())
    assert [(tensor.dtype, tensor.numel()) for tensor in kept] == [
        (torch.uint8, x.numel()),
        (torch.float32, layer.weight.numel()),
    ]
    assert kept[1].data_ptr() == layer.weight.data_ptr()


def test_only_what_is_wanted_is_computed() -> None:
    layer, x = QuantizedSparseLinear(torch.randn(9, 8), torch.randn(9)), torch.randn(30, 8)
    layer(x).sum().backward()
    assert layer.weight.grad is not None
    layer.requires_grad_(False).weight.grad = None
    layer(x.requires_grad_()).sum().backward()
    assert layer.weight.grad is None
    assert x.grad is not None


def test_weights_are_never_stale() -> None:
    layer, x = QuantizedSparseLinear(torch.eye(3), None), torch.ones(2, 3)
    with torch.no_grad():
        layer.weight.mul_(2)
    assert torch.allclose(layer(x), torch.full((2, 3), 2.0))


def test_zeros() -> None:
    layer = QuantizedSparseLinear(torch.zeros(3, 4), torch.ones(3), torch.ones(3, 4))
    y, _, found, _ = results(layer, torch.zeros(2, 4), torch.zeros(2, 3))
    assert torch.equal(y, torch.ones(2, 3))
    assert all(not gradient.any() for gradient in found)


def test_states_and_dense_layers_are_those_of_sparse_ones() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(4, 6, 3, stride=2, padding=1)
    mask = torch.rand_like(conv.weight) < 0.4
    layer, sparse = (kind.from_dense(conv, mask) for kind in (QuantizedSparseConv2d, SparseConv2d))
    other = QuantizedSparseConv2d.from_dense(nn.Conv2d(4, 6, 3, stride=2, padding=1))
    other.load_state_dict(sparse.state_dict())
    x = torch.randn(3, 4, 9, 9)
    assert torch.equal(other(x), layer(x))
    assert torch.equal(copy.deepcopy(layer)(x), layer(x))
    assert torch.equal(layer.to_dense().weight, conv.weight * mask)
    assert torch.equal(layer.to_dense()(x), sparse.to_dense()(x))
    linear = nn.Linear(5, 4)
    assert torch.equal(QuantizedSparseLinear.from_dense(linear).to_dense().weight, linear.weight)


def test_the_hint_without_effect_warns_once() -> None:
    conv = nn.Conv2d(2, 3, 3)
    with pytest.warns(UserWarning, match="vectorizing_over_on: True given") as caught:
        QuantizedSparseConv2d.from_dense(conv, vectorizing_over_on=True)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        QuantizedSparseConv2d.from_dense(conv)


def one_input(value: float) -> Tensor:
    return torch.tensor([[1.0, value, 2.0]])


def layer() -> QuantizedSparseLinear:
    return QuantizedSparseLinear(torch.eye(3), None)


def layer_of(value: float) -> QuantizedSparseLinear:
    made = layer()
    made.weight.data[1] = value
    return made


WRONG = {
    "nan": (lambda: layer()(one_input(torch.nan)), "^input: has NaN or infinity"),
    "infinity": (lambda: layer()(one_input(-torch.inf)), "^input: has NaN or infinity"),
    "gradient": (
        lambda: layer()(one_input(0)).backward(one_input(torch.inf)),
        "^gradient of the output: has NaN or infinity",
    ),
    "weight": (lambda: layer_of(torch.nan)(one_input(0)), "^weight: has NaN or infinity"),
    "double": (lambda: layer().double()(one_input(0).double()), "weight: torch.float64 given"),
    "row": (
        lambda: QuantizedSparseLinear(torch.ones(1, 133_145), None)(torch.ones(1, 133_145)),
        r"connections of a row: 133145; allowed is 0\.\.133144",
    ),
    "scale": (
        lambda: backend.lay_out_int8(
            backend.PlaneLayout(1, np.zeros(1, np.int64), 1),
            np.zeros(3, np.float32),
            np.zeros(3, np.uint8),
            0.0,
        ),
        "scale: 0.0; allowed are finite ones above 0",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_use_is_one_clear_line(name: str) -> None:
    use, message = WRONG[name]
    with pytest.raises(UsageError, match=message) as error:
        use()
    assert "\n" not in str(error.value)
