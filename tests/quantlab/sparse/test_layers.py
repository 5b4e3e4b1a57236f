"""Sparse layers against dense ones in float64, on every instruction set that runs here."""

import copy
import io
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from torch import nn
from torch.autograd import gradcheck

from quantlab import _backend, backend
from quantlab.errors import UsageError
from quantlab.sparse import SparseConv2d, SparseLinear
from quantlab.sparse.convolution_layer import PaddingMode
from tests.quantlab.sparse.cases import (
    CONVOLUTIONS,
    Convolution,
    gradients,
    same_bits_on_threads,
    within,
)

FLOAT32 = 2e-5  # of the largest number; sums have at most 2,500 terms


@pytest.fixture(params=backend.kernels("sparse_product"))
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    before = backend.isa()
    _backend.activate(request.param)
    yield request.param
    _backend.activate(before)


def assert_same(case: Convolution, dtype: torch.dtype, tolerance: float) -> None:
    dense = case.dense(dtype)
    sparse, x = SparseConv2d.from_dense(dense), case.images(dtype)
    y, (x_gradient, weight, bias) = gradients(sparse, x)
    twin, wide = copy.deepcopy(dense).double(), x.double()
    wanted, (wanted_x, wanted_weight, wanted_bias) = gradients(twin, wide)
    within(y, wanted, tolerance)
    within(x_gradient, wanted_x, tolerance)
    within(weight, sparse.pattern.gather(wanted_weight), tolerance)
    within(bias, wanted_bias, tolerance)


@settings(max_examples=60, deadline=None)
@given(CONVOLUTIONS)
def test_convolutions_of_all_shapes(case: Convolution) -> None:
    assert_same(case, torch.float64, 1e-12)
    assert_same(case, torch.float32, FLOAT32)


CASES = [
    Convolution(
        batch=batch,
        channels=8,
        outputs=9,
        size=(7, 6),
        kernel=(3, 3),
        stride=stride,
        padding=(1, 1),
        dilation=(1, 1),
        groups=1,
        density=0.3,
        seed=batch,
    )
    for batch in (1, 5, 16, 40)
    for stride in ((1, 1), (2, 2))
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.batch}-{case.stride[0]}")
def test_every_instruction_set(isa: str, case: Convolution) -> None:
    assert_same(case, torch.float32, FLOAT32)


@pytest.mark.parametrize("shape", [(1, 7), (3, 7), (128, 7), (2, 5, 7), (0, 7), (7,)])
@pytest.mark.parametrize("has_bias", [True, False])
def test_linear_layers(isa: str, shape: tuple[int, ...], has_bias: bool) -> None:
    torch.manual_seed(0)
    dense = nn.Linear(7, 5, has_bias)
    with torch.no_grad():
        dense.weight.mul_(torch.rand(5, 7) < 0.5)
    sparse, x = SparseLinear.from_dense(dense), torch.randn(shape)
    y, found = gradients(sparse, x)
    wanted, grads = gradients(copy.deepcopy(dense).double(), x.double())
    grads[1] = sparse.pattern.gather(grads[1])
    within(y, wanted, FLOAT32)
    for one, other in zip(found, grads, strict=True):
        within(one, other, FLOAT32)


def test_gradcheck() -> None:
    conv = CASES[3].dense(torch.float64)
    layer = SparseConv2d.from_dense(conv)
    x = CASES[3].images(torch.float64)[:2].requires_grad_()

    def output(x: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        given = dict(zip(("weight", "bias"), parameters, strict=True))
        result: torch.Tensor = torch.func.functional_call(layer, given, (x,))
        return result

    assert gradcheck(output, (x, *layer.parameters()))


def test_panels_of_inputs_and_of_outputs(isa: str) -> None:
    """So many channels that both kernels go through panels of them."""
    case = replace(CASES[4], channels=64, outputs=48, size=(6, 6), density=0.5)
    layer, x = SparseConv2d.from_dense(case.dense(torch.float32)), case.images(torch.float32)
    plan = layer.plan_for(x)
    assert plan.product.num_panels > 1
    assert plan.gradient.num_panels > 1
    assert_same(case, torch.float32, FLOAT32)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_same_bits_whatever_the_number_of_threads(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(48, 40, 3, padding=1).to(dtype)
    with torch.no_grad():
        conv.weight.mul_(torch.rand_like(conv.weight) < 0.2)
    layer, x = SparseConv2d.from_dense(conv), torch.randn(32, 48, 12, 12, dtype=dtype)
    same_bits_on_threads(layer, x)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("padding_mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize(("kernel", "padding"), [(3, 1), ((3, 5), (1, 2)), (4, "same")])
def test_paddings(padding_mode: PaddingMode, kernel: int, padding: int | str) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 4, kernel, padding=padding, padding_mode=padding_mode)
    layer, x = SparseConv2d.from_dense(conv), torch.randn(2, 3, 9, 8)
    within(layer(x), conv(x), FLOAT32)
    within(layer.to_dense()(x), conv(x), 0)
    within(layer(x[0]), conv(x[0]), FLOAT32)


def test_tensors_with_gaps_and_other_orders_in_memory() -> None:
    conv = CASES[4].dense(torch.float32)
    layer, x = SparseConv2d.from_dense(conv), CASES[4].images(torch.float32)
    wanted = layer(x)
    assert torch.equal(layer(x.contiguous(memory_format=torch.channels_last)), wanted)
    wide = torch.randn(*x.shape[:3], 2 * x.shape[3])
    wide[..., ::2] = x
    assert torch.equal(layer(wide[..., ::2]), wanted)
    one = torch.ones(()).expand(wanted.shape)
    again = layer(x)
    again.backward(one)
    weight = layer.weight.grad
    layer.weight.grad = None
    layer(x).backward(one.contiguous())
    assert weight is not None
    assert torch.equal(weight, layer.weight.grad)


def test_only_what_is_wanted_is_computed() -> None:
    layer = SparseConv2d.from_dense(CASES[2].dense(torch.float32))
    x = CASES[2].images(torch.float32)
    layer(x).sum().backward()
    weight = layer.weight.grad
    layer.weight.requires_grad_(False)
    layer.weight.grad = None
    x.requires_grad_()
    layer(x).sum().backward()
    assert layer.weight.grad is None
    assert x.grad is not None
    assert weight is not None


def test_states_have_the_pattern() -> None:
    first = SparseConv2d.from_dense(CASES[0].dense(torch.float32))
    other = SparseConv2d.from_dense(nn.Conv2d(8, 9, 3, padding=1))
    memory = io.BytesIO()
    torch.save(first.state_dict(), memory)
    memory.seek(0)
    other.load_state_dict(torch.load(memory, weights_only=True))
    x = CASES[0].images(torch.float32)
    assert torch.equal(other(x), first(x))
    assert torch.equal(copy.deepcopy(first)(x), first(x))
    shuffled = torch.randperm(first.pattern.num_values)
    state = {**first.state_dict()}
    state["weight"], state["indices"] = state["weight"][shuffled], state["indices"][shuffled]
    other.load_state_dict(state)
    assert torch.equal(other(x), first(x))


def test_explicit_zeros_are_kept() -> None:
    linear = nn.Linear(4, 3)
    mask = torch.ones(3, 4, dtype=torch.bool)
    mask[0, 0] = False
    with torch.no_grad():
        linear.weight[1, 1] = 0.0
    layer = SparseLinear.from_dense(linear, mask)
    assert layer.pattern.num_values == 11
    assert torch.equal(layer.pattern.mask(), mask)
    assert torch.equal(layer.to_dense().weight, linear.weight * mask)


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.AdamW])
def test_a_new_mask_carries_the_optimizer_along(optimizer: type) -> None:
    torch.manual_seed(0)
    layer = SparseLinear.from_dense(nn.Linear(6, 5), torch.rand(5, 6) < 0.5)
    steps = optimizer(
        layer.parameters(), lr=0.1, **({"momentum": 0.9} if optimizer is torch.optim.SGD else {})
    )
    x = torch.randn(4, 6)
    layer(x).square().sum().backward()
    steps.step()
    before = {
        name: layer.pattern.scatter(value)
        for name, value in steps.state[layer.weight].items()
        if value.shape == layer.weight.shape
    }
    weight, gone = layer.dense_weight().detach(), layer.pattern.mask()
    mask = torch.rand(5, 6) < 0.6
    layer.update_mask(mask, steps)
    assert torch.equal(layer.pattern.mask(), mask)
    assert torch.equal(layer.dense_weight(), weight * mask)
    assert before
    for name, value in before.items():
        carried = layer.pattern.scatter(steps.state[layer.weight][name])
        assert torch.equal(carried, value * mask)
    assert bool((mask & ~gone).any())
    layer(x).square().sum().backward()
    steps.step()


def layer() -> SparseConv2d:
    return SparseConv2d.from_dense(nn.Conv2d(2, 3, 3))


WRONG = {
    "type": (lambda: layer()(torch.zeros(1, 2, 5, 5).double()), "float64 given; torch.float32"),
    "channels": (lambda: layer()(torch.randn(1, 4, 5, 5)), r"\[1, 4, 5, 5\] given; \[B, 2, H, W\]"),
    "small": (lambda: layer()(torch.randn(1, 2, 2, 5)), "smaller than the kernel of 3 x 3"),
    "features": (lambda: SparseLinear.from_dense(nn.Linear(3, 2))(torch.randn(4)), r"\[..., 3\]"),
    "mask": (lambda: SparseLinear.from_dense(nn.Linear(3, 2), torch.ones(3, 2)), "mask: "),
    "new mask": (lambda: layer().update_mask(torch.ones(3, 2)), r"\[3, 2, 3, 3\] allowed"),
    "half": (lambda: SparseLinear.from_dense(nn.Linear(3, 2).half()), "float16 given; float32 or"),
    "nan": (lambda: SparseLinear(torch.full((2, 2), torch.nan), None), "NaN or infinity"),
    "indices": (
        lambda: layer().load_state_dict(
            {"weight": torch.ones(1), "bias": torch.ones(3), "indices": torch.tensor([54])}
        ),
        r"index 54 given; 0..53 allowed",
    ),
    "twice": (
        lambda: layer().load_state_dict(
            {"weight": torch.ones(2), "bias": torch.ones(3), "indices": torch.tensor([5, 5])}
        ),
        "index 5 given twice",
    ),
    "values": (
        lambda: layer().load_state_dict(
            {"weight": torch.ones(3), "bias": torch.ones(3), "indices": torch.tensor([5, 6])}
        ),
        r"weight: \[3\] given; \[2\], one for each index",
    ),
    "huge": (
        lambda: SparseLinear.from_dense(nn.Linear(1, 1))(torch.zeros(1).expand(2**31, 1)),
        r"2147483648 numbers with their padding; 2\^31 - 1 allowed",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_use_is_one_clear_line(name: str) -> None:
    use, message = WRONG[name]
    with pytest.raises(UsageError, match=message) as error:
        use()
    assert "\n" not in str(error.value)


def test_what_is_not_a_number_passes_through_what_is_connected() -> None:
    linear = SparseLinear(torch.eye(3), None)
    x = torch.tensor([[torch.nan, 1.0, 2.0]])
    assert linear(x).isnan().tolist() == [[True, False, False]]


def test_mixed_precision_computes_in_the_weights_type() -> None:
    one = layer()
    x = torch.randn(2, 2, 5, 5)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(one(x.bfloat16()), one(x.bfloat16().float()))
