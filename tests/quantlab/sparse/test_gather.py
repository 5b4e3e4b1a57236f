"""Linear layers over few samples, which are gathered where they lie, against float64."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from torch import Tensor, nn
from torch.autograd import gradcheck

from quantlab import _backend, backend
from quantlab.backend import GatherPlan
from quantlab.errors import UsageError
from quantlab.sparse import SparseConv2d, SparseLinear
from quantlab.sparse.geometry import Geometry
from quantlab.sparse.pattern import Pattern
from quantlab.sparse.plan import canonical, plan
from tests.quantlab.sparse.cases import gradients, same_bits_on_threads, within
from tests.quantlab.sparse.guarded import guarded

VARIANTS = backend.kernels("sparse_gather")
FLOAT32 = 2e-5  # of the largest number; sums have at most 500 terms
MOST_SAMPLES = 4  # that a layer gathers


@pytest.fixture(params=VARIANTS)
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    before = backend.isa()
    _backend.activate(request.param)
    yield request.param
    _backend.activate(before)


@dataclass(frozen=True, kw_only=True)
class Case:
    """row_densities: of the weights of some outputs, which take turns."""

    batch: int
    inputs: int
    outputs: int
    row_densities: tuple[float, ...]
    seed: int

    @property
    def mask(self) -> Tensor:
        rng = torch.Generator().manual_seed(self.seed)
        densities = torch.tensor(self.row_densities).repeat(self.outputs)[: self.outputs, None]
        return torch.rand(self.outputs, self.inputs, generator=rng) < densities

    def random(self, *shape: int) -> Tensor:
        rng = torch.Generator().manual_seed(self.seed + len(shape))
        return torch.randn(shape, generator=rng, dtype=torch.float64)


CASES = st.builds(
    Case,
    batch=st.integers(1, 9),
    inputs=st.integers(1, 70),
    outputs=st.integers(1, 70),
    row_densities=st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0]), min_size=1, max_size=4).map(
        tuple
    ),
    seed=st.integers(0, 2**31),
)
NO_WEIGHTS = Case(batch=3, inputs=20, outputs=5, row_densities=(0.0,), seed=0)
PANELS = Case(batch=3, inputs=30, outputs=500, row_densities=(1.0, 0.5, 0.0), seed=0)


def assert_kernels(case: Case, variant: str, dtype: type, tolerance: float) -> None:
    """Compare with dense products; what lies behind the arrays may not be touched."""
    pattern = canonical(Pattern.of_mask(case.mask), Geometry())
    layout = plan(pattern, Geometry(), (case.batch, case.inputs))
    gather = GatherPlan(layout.product, layout.gradient)
    weight = (case.random(case.outputs, case.inputs) * case.mask).numpy()
    x, y = (case.random(1, case.batch, n)[0].numpy() for n in (case.inputs, case.outputs))
    bias = case.random(case.outputs).numpy()
    values = pattern.gather(torch.from_numpy(weight)).numpy()
    given = [guarded(a.reshape(-1).astype(dtype)) for a in (x, y, values, bias)]
    out, x_gradient, weights = (
        guarded(np.full(size, np.nan, dtype)) for size in (y.size, x.size, values.size)
    )
    backend.gather_product(gather, given[0], given[2], given[3], out, variant=variant)
    backend.gather_gradient(gather, *given[:3], x_gradient, weights, variant=variant)
    wanted = pattern.gather(torch.from_numpy(y.T @ x)).numpy()
    for found, right in ((out, x @ weight.T + bias), (x_gradient, y @ weight), (weights, wanted)):
        size = max(float(np.abs(right).max(initial=0)), 1.0)
        assert_allclose(found, right.reshape(-1), rtol=0, atol=tolerance * size)


@pytest.mark.parametrize("variant", VARIANTS)
@settings(max_examples=60, deadline=None)
@given(CASES)
def test_all_shapes(variant: str, case: Case) -> None:
    assert_kernels(case, variant, np.float32, FLOAT32)


@settings(max_examples=20, deadline=None)
@given(CASES)
def test_all_shapes_in_float64(case: Case) -> None:
    assert_kernels(case, "scalar", np.float64, 1e-12)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("case", [NO_WEIGHTS, PANELS], ids=["no weights", "panels"])
def test_no_weights_and_panels_of_outputs(variant: str, case: Case) -> None:
    pattern = canonical(Pattern.of_mask(case.mask), Geometry())
    num_panels = plan(pattern, Geometry(), (case.batch, case.inputs)).gradient.num_panels
    assert (num_panels > 1) == (case is PANELS)
    assert_kernels(case, variant, np.float32, FLOAT32)


@pytest.mark.parametrize("batch", [1, 3, MOST_SAMPLES])
@pytest.mark.parametrize("has_bias", [True, False])
def test_layers_of_few_samples(isa: str, batch: int, has_bias: bool) -> None:
    torch.manual_seed(0)
    dense = nn.Linear(37, 29, has_bias)
    with torch.no_grad():
        dense.weight.mul_(torch.rand(29, 37) < 0.4)
    sparse, x = SparseLinear.from_dense(dense), torch.randn(batch, 37)
    assert sparse.plan_for(x).gather is not None
    y, found = gradients(sparse, x)
    wanted, grads = gradients(copy.deepcopy(dense).double(), x.double())
    grads[1] = sparse.pattern.gather(grads[1])
    for one, other in zip([y, *found], [wanted, *grads], strict=True):
        within(one, other, FLOAT32)


def test_other_layers_lay_their_inputs_out() -> None:
    linear, conv = (
        SparseLinear.from_dense(nn.Linear(3, 2)),
        SparseConv2d.from_dense(nn.Conv2d(3, 2, 1)),
    )
    assert linear.plan_for(torch.randn(MOST_SAMPLES + 1, 3)).gather is None
    assert linear.plan_for(torch.randn(0, 3)).gather is None
    assert conv.plan_for(torch.randn(1, 3, 1, 1)).gather is None


def test_gradcheck() -> None:
    torch.manual_seed(0)
    layer = SparseLinear.from_dense(nn.Linear(11, 9).double(), torch.rand(9, 11) < 0.5)
    x = torch.randn(3, 11, dtype=torch.float64, requires_grad=True)
    assert layer.plan_for(x).gather is not None

    def output(x: Tensor, *parameters: Tensor) -> Tensor:
        given = dict(zip(("weight", "bias"), parameters, strict=True))
        result: Tensor = torch.func.functional_call(layer, given, (x,))
        return result

    assert gradcheck(output, (x, *layer.parameters()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_same_bits_whatever_the_number_of_threads(isa: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    mask = torch.rand(611, 703) < 0.5  # enough for four threads
    layer = SparseLinear.from_dense(nn.Linear(703, 611).to(dtype), mask)
    x = torch.randn(2, 703, dtype=dtype)
    assert layer.plan_for(x).gather is not None
    same_bits_on_threads(layer, x)


def test_inputs_with_gaps_and_gradients_that_repeat() -> None:
    torch.manual_seed(0)
    layer, x = (
        SparseLinear.from_dense(nn.Linear(12, 7), torch.rand(7, 12) < 0.5),
        torch.randn(2, 12),
    )
    wide = torch.zeros(2, 24)
    wide[:, ::2] = x
    (layer(x) * torch.ones(2, 7)).sum().backward()
    assert layer.weight.grad is not None
    wanted, layer.weight.grad = layer.weight.grad, None
    y = layer(wide[:, ::2])
    assert torch.equal(y, layer(x))
    y.backward(torch.ones(()).expand(2, 7))
    assert torch.equal(layer.weight.grad, wanted)


def test_only_what_is_wanted_is_computed(isa: str) -> None:
    torch.manual_seed(0)
    layer, x = (
        SparseLinear.from_dense(nn.Linear(40, 33), torch.rand(33, 40) < 0.5),
        torch.randn(1, 40),
    )
    _, (x_gradient, weight, bias) = gradients(layer, x)
    layer.weight.requires_grad_(False)
    x.requires_grad_()
    factors = torch.randn(1, 33, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    layer(x).backward(factors.float())
    assert layer.weight.grad is None
    assert torch.equal(x.grad, x_gradient)
    layer.weight.requires_grad_()
    layer(x.detach()).backward(factors.float())
    assert torch.equal(layer.weight.grad, weight)
    assert bias.shape == (33,)


def test_the_input_itself_is_kept_for_the_backward_pass() -> None:
    layer, x = SparseLinear.from_dense(nn.Linear(6, 5)), torch.randn(2, 6, requires_grad=True)
    kept = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor.untyped_storage().data_ptr())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        layer(x)
    assert sorted(kept) == sorted(t.untyped_storage().data_ptr() for t in (x, layer.weight))


def test_what_is_not_a_number_passes_through_what_is_connected(isa: str) -> None:
    """Also where a vector is not full and the first numbers stand in for others."""
    linear = SparseLinear(torch.eye(20).roll(1, 1), None)
    x = torch.zeros(1, 20)
    x[0, 0] = torch.nan
    assert linear(x).isnan().nonzero().tolist() == [[0, 19]]


def numbers(size: int) -> np.ndarray:
    return np.zeros(size, np.float32)


LINEAR = plan(canonical(Pattern((2, 3), np.arange(4)), Geometry()), Geometry(), (2, 3))
IMAGES = plan(canonical(Pattern((2, 3, 1, 1), np.arange(4)), Geometry()), Geometry(), (2, 3, 2, 2))
GATHER = GatherPlan(LINEAR.product, LINEAR.gradient)
WRONG = {
    "images": (lambda: GatherPlan(IMAGES.product, IMAGES.gradient), "lines: 2; allowed is 1..1"),
    "other": (lambda: GatherPlan(LINEAR.product, IMAGES.gradient), "offsets: "),
    "none": (
        lambda: backend.gather_product(GATHER, numbers(2), numbers(4), None, numbers(2)),
        "x: expected 3 items for each sample, got float32 of shape",
    ),
    "part": (
        lambda: backend.gather_product(GATHER, numbers(4), numbers(4), None, numbers(2)),
        "x: expected an array of 3 items",
    ),
    "out": (
        lambda: backend.gather_product(GATHER, numbers(6), numbers(4), None, numbers(3)),
        "out: expected an array of 4 items",
    ),
    "y": (
        lambda: backend.gather_gradient(GATHER, numbers(6), numbers(5), numbers(4), None, None),
        "y: expected an array of 4 items",
    ),
    "type": (
        lambda: backend.gather_product(
            GATHER, numbers(6).astype(np.float16), numbers(4), None, numbers(4)
        ),
        "x: expected a C-contiguous aligned array of float32 or float64, got float16",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_use_is_one_clear_line(name: str) -> None:
    use, message = WRONG[name]
    with pytest.raises(UsageError, match=message) as error:
        use()
    assert "\n" not in str(error.value)
