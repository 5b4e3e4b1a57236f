"""Sparse layers on planes of 16 bits against dense ones in float64, on every instruction set."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from math import prod, sqrt

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from quantlab import _backend, backend
from quantlab.errors import UsageError
from quantlab.memory.step import saved_bytes
from quantlab.sparse import HalfSparseConv2d, HalfSparseLinear, SparseLinear
from quantlab.sparse.candidates import CANDIDATES
from quantlab.sparse.pruning import HALF, to_sparse
from tests.quantlab.sparse.cases import (
    CONVOLUTIONS,
    Convolution,
    gradients,
    same_bits_on_threads,
    within,
)

TOLERANCE = 1e-3  # of the norm; a rounding to 11 bits is up to 5e-4 of each number


@pytest.fixture(params=backend.kernels("sparse_product_half"))
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    before = backend.isa()
    _backend.activate(request.param)
    yield request.param
    _backend.activate(before)


def near(found: Tensor, wanted: Tensor, tolerance: float = TOLERANCE) -> None:
    """Assert that the norm of the error is at most so much of the norm."""
    assert found.shape == wanted.shape
    assert found.dtype == torch.float32
    error = (found.double() - wanted.double()).norm()
    assert error <= tolerance * wanted.double().norm(), (error / wanted.double().norm()).item()


def assert_near(layer: nn.Linear | nn.Conv2d, x: Tensor, size: float = 1.0) -> None:
    """size: of the outputs' gradient."""
    sparse = to_sparse(layer, None, HALF)
    twin = copy.deepcopy(layer).double()
    one, other = x.clone().requires_grad_(), x.double().requires_grad_()
    y, wanted = sparse(one), twin(other)
    near(y.detach(), wanted.detach())
    generator = torch.Generator().manual_seed(0)
    gradient = size * torch.randn(y.shape, generator=generator)
    y.backward(gradient)
    wanted.backward(gradient.double())
    assert one.grad is not None
    assert other.grad is not None
    near(one.grad, other.grad)
    assert twin.weight.grad is not None
    near(sparse.weight.grad, sparse.pattern.gather(twin.weight.grad))
    if twin.bias is not None:
        near(sparse.bias.grad, twin.bias.grad)


def case_of(batch: int, stride: int) -> Convolution:
    return Convolution(
        batch=batch,
        channels=8,
        outputs=9,
        size=(7, 6),
        kernel=(3, 3),
        stride=(stride, stride),
        padding=(1, 1),
        dilation=(1, 1),
        groups=1,
        density=0.3,
        seed=batch,
    )


@settings(max_examples=60, deadline=None)
@given(CONVOLUTIONS)
def test_convolutions_of_all_shapes(case: Convolution) -> None:
    """Errors are as those of sums of so many terms of about 1, which may cancel."""
    dense, x = case.dense(torch.float32), case.images(torch.float32)
    sparse = HalfSparseConv2d.from_dense(dense)
    y, found = gradients(sparse, x)
    wanted, others = gradients(copy.deepcopy(dense).double(), x.double())
    others[1] = sparse.pattern.gather(others[1])
    num_connections = max(case.channels, case.outputs) * prod(case.kernel)
    num_terms = [num_connections, num_connections, y[:, 0].numel(), y[:, 0].numel()]
    for one, other, terms in zip([y, *found], [wanted, *others], num_terms, strict=True):
        within(one, other, 3 * TOLERANCE * sqrt(terms))


@pytest.mark.parametrize("batch", [1, 5, 16, 40, 70])
@pytest.mark.parametrize("stride", [1, 2])
def test_convolutions(isa: str, batch: int, stride: int) -> None:
    case = case_of(batch, stride)
    assert_near(case.dense(torch.float32), case.images(torch.float32))


@pytest.mark.parametrize("batch", [1, 31, 128, 257, 300])
def test_linear_layers(isa: str, batch: int) -> None:
    """Rows and planes have more connections than are added up in 16 bits."""
    torch.manual_seed(0)
    dense = nn.Linear(300, 90)
    with torch.no_grad():
        dense.weight.mul_(torch.rand(90, 300) < 0.5)
    assert_near(dense, torch.randn(batch, 300))


def test_panels_of_inputs_and_of_outputs(isa: str) -> None:
    case = replace(case_of(40, 1), channels=64, outputs=48, size=(6, 6), density=0.5)
    dense, x = case.dense(torch.float32), case.images(torch.float32)
    plan = HalfSparseConv2d.from_dense(dense).plan_for(x)
    assert plan.product.num_panels > 1
    assert plan.gradient.num_panels > 1
    assert_near(dense, x)


@pytest.mark.parametrize("x_size", [1e-12, 1.0, 1e6, 1e28])
@pytest.mark.parametrize("weight_size", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("gradient_size", [1e-12, 1e6])
def test_numbers_of_all_sizes(
    isa: str, x_size: float, weight_size: float, gradient_size: float
) -> None:
    case = case_of(16, 1)
    dense = case.dense(torch.float32)
    with torch.no_grad():
        dense.weight.mul_(weight_size)
        assert dense.bias is not None
        dense.bias.mul_(x_size * weight_size)
    assert_near(dense, x_size * case.images(torch.float32), gradient_size)


def test_no_sum_overflows(isa: str) -> None:
    """All numbers are as large as they get, and of one sign."""
    dense = nn.Linear(200, 100)
    with torch.no_grad():
        dense.weight.fill_(1.999)
    assert_near(dense, torch.full((64, 200), 3.999))
    x = torch.full((256, 200), 1.999, requires_grad=True)
    layer = HalfSparseLinear.from_dense(dense)
    layer(x).backward(torch.full((256, 100), 1.999))
    assert layer.weight.grad is not None
    near(layer.weight.grad, torch.full((20000,), 256 * 1.999**2))


def test_what_is_not_a_number_passes_through_what_is_connected(isa: str) -> None:
    layer = HalfSparseLinear(torch.eye(3), None)
    x = torch.tensor([[torch.nan, 1.0, 1e6], [torch.inf, 1.0, -torch.inf]], requires_grad=True)
    y = layer(x)
    assert y[0].isnan().tolist() == [True, False, False]
    assert y[0, 1:].tolist() == [1.0, pytest.approx(1e6, rel=TOLERANCE)]
    assert y[1].tolist() == [torch.inf, 1.0, -torch.inf]
    y.backward(torch.tensor([[1.0, torch.nan, 1.0], [1.0, 1.0, torch.inf]]))
    assert x.grad is not None
    assert x.grad[0].isnan().tolist() == [False, True, False]
    assert x.grad[1].tolist() == [1.0, 1.0, torch.inf]


def test_zeros_and_no_samples() -> None:
    layer = HalfSparseLinear.from_dense(nn.Linear(4, 3))
    assert layer.bias is not None
    assert torch.equal(layer(torch.zeros(2, 4)), layer.bias.expand(2, 3))
    assert layer(torch.zeros(0, 4)).shape == (0, 3)


def test_the_same_bits_whatever_the_number_of_threads(isa: str) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(48, 40, 3, padding=1)
    with torch.no_grad():
        conv.weight.mul_(torch.rand_like(conv.weight) < 0.2)
    layer, x = HalfSparseConv2d.from_dense(conv), torch.randn(32, 48, 8, 8)
    same_bits_on_threads(layer, x)


def test_two_bytes_of_each_input_are_saved() -> None:
    layer = HalfSparseLinear(torch.eye(64), None)
    x = torch.randn(32, 64, requires_grad=True)
    assert saved_bytes(lambda: layer(x)) == 2 * x.numel()


def test_states_and_dense_layers_are_those_of_float32_layers() -> None:
    dense = nn.Linear(6, 5)
    half, single = HalfSparseLinear.from_dense(dense), SparseLinear.from_dense(dense)
    assert torch.equal(half.to_dense().weight, dense.weight)
    assert torch.equal(half.to_dense().bias, dense.bias)
    other = HalfSparseLinear.from_dense(nn.Linear(6, 5))
    other.load_state_dict(single.state_dict())
    x = torch.randn(3, 6)
    assert torch.equal(other(x), half(x))


def test_the_candidate() -> None:
    made = CANDIDATES["sparse_fp16"].make(nn.Linear(4, 3))
    assert isinstance(made, HalfSparseLinear)
    assert isinstance(CANDIDATES["sparse_fp16"].make(nn.Conv2d(2, 3, 3)), HalfSparseConv2d)


def test_only_float32() -> None:
    layer = HalfSparseLinear.from_dense(nn.Linear(4, 3).double())
    with pytest.raises(UsageError, match=r"^weight: torch.float64 given; float32 allowed$"):
        layer(torch.zeros(2, 4, dtype=torch.float64))


FLOATS = st.floats(width=32, allow_subnormal=True) | st.sampled_from(
    [65519.99, 65520.0, 2.0**-14, 2.0**-24, 2.0**-25, 3 * 2.0**-25, 1 + 2.0**-11, 1 + 3 * 2.0**-11]
).map(lambda x: float(np.float32(x)))


@pytest.mark.parametrize("variant", backend.kernels("planes_half"))
@pytest.mark.parametrize("batch", [1, 17])
@settings(max_examples=100, deadline=None)
@given(st.lists(FLOATS, min_size=17, max_size=17), st.sampled_from([2.0**-6, 1.0, 2.0**9]))
@example([65519.996, -65520.0, 2.0**-25, -(2.0**-25), 1.0] + 12 * [3 * 2.0**-25], 1.0)
def test_planes_are_rounded_as_numpy_does(
    variant: str, batch: int, numbers: list[float], factor: float
) -> None:
    samples = np.resize(np.array(numbers, np.float32), batch * 17)
    layout = backend.PlaneLayout(1, np.arange(17, dtype=np.int64), 17)
    planes, back = np.empty(samples.size, np.float16), np.empty_like(samples)
    backend.lay_out(layout, samples, planes, factor=factor, variant=variant)
    with np.errstate(over="ignore"):
        wanted = (samples * np.float32(factor)).astype(np.float16)
    np.testing.assert_array_equal(planes.reshape(17, batch).T, wanted.reshape(batch, 17))
    backend.collect(layout, back, planes, factor=1 / factor, variant=variant)
    np.testing.assert_array_equal(back, wanted.astype(np.float32) / np.float32(factor))


def test_layers_and_their_gradients_are_of_one_kind_of_array() -> None:
    plan = HalfSparseLinear.from_dense(nn.Linear(4, 3)).plan_for(torch.zeros(2, 4))
    x, values = np.zeros(8, np.float16), np.zeros(12, np.float32)
    with pytest.raises(UsageError, match=r"^out: expected .*float32 array, got float16"):
        backend.sparse_product(plan.product, x, values, None, np.zeros(6, np.float16))
    with pytest.raises(UsageError, match=r"^y: expected .*float16 array, got float32"):
        backend.sparse_gradient(plan.gradient, x, np.zeros(6, np.float32), values, None, None)


def test_panels_have_twice_the_planes() -> None:
    torch.manual_seed(0)
    dense, x = nn.Linear(1536, 8, bias=False), torch.randn(128, 1536)
    layers = SparseLinear.from_dense(dense), HalfSparseLinear.from_dense(dense)
    assert [layer.plan_for(x).product.num_panels for layer in layers] == [16, 8]
    y, half = (layer(x) for layer in layers)
    assert torch.allclose(half, y, atol=1e-3)
