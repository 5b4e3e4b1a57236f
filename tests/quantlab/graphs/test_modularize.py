import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from quantlab.graphs.modularize import modularize, number_nodes
from quantlab.graphs.operations import AddConstant, MultiplyConstant
from quantlab.graphs.trace import trace
from tests.quantlab.graphs.networks import Residual, calls, functions, run

X = torch.randn(2, 4, 4, 4, generator=torch.Generator().manual_seed(0))


class Of(nn.Module):
    """A network of one function, or of several lines."""

    def __init__(self, body: object) -> None:
        super().__init__()
        self.relu = nn.ReLU(inplace=True)
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return self.body(self, x)


def check(body: object, *, left: list[str]) -> fx.GraphModule:
    """Trace a body; the result is the same, and only functions of these names are left."""
    network = Of(body).eval()
    gm = trace(network)
    assert torch.equal(run(gm, X), run(network, X))
    assert functions(gm) == left
    return gm


def test_names_lie_below_the_calling_module() -> None:
    gm = fx.symbolic_trace(Residual())
    report = modularize(gm)
    assert calls(gm)[-4:] == ["adaptive_avg_pool2d", "flatten", "dropout", "fc"]
    assert {"relu", "layer1.0.add", "layer1.1.add"} < set(calls(gm))
    assert "layer1.0.add: Add instead of add" in report.lines
    assert not modularize(gm).lines


def test_constants_are_part_of_the_module() -> None:
    gm = check(lambda self, x: 2 * x * 0.5 + 3 - 4.5 + 1, left=[])
    values = [m.value for m in gm.modules() if isinstance(m, AddConstant | MultiplyConstant)]
    assert values == [2, 0.5, 3, -4.5, 1]
    assert calls(gm) == ["multiply", "multiply_1", "add", "subtract", "add_1"]


def test_arithmetic_on_sizes_stays() -> None:
    def body(self: nn.Module, x: Tensor) -> Tensor:
        batch, channels, height, width = x.size()
        half = channels // 2
        count = x.shape[2] * width
        count += 0
        return x.view(batch, 2, half, height, width).transpose(1, 2).reshape(batch, half * 2, count)

    network = Of(body)
    gm = trace(network)
    assert not calls(gm)
    assert torch.equal(run(gm, X), run(network, X))
    texts = {n.name for n in number_nodes(gm.graph)}
    assert {"size", "floordiv", "getitem", "mul", "iadd"} <= texts
    assert not texts & {"x", "view", "transpose", "reshape"}


def overwrite_and_read(self: nn.Module, x: Tensor) -> Tensor:
    y = x * 2
    z = y
    y += x
    return y * z  # z is what y is now


def overwrite_input(self: nn.Module, x: Tensor) -> Tensor:
    y = functional.relu(x, inplace=True)
    return x + y


def overwrite_with_a_method(self: nn.Module, x: Tensor) -> Tensor:
    y = x + 1
    y.add_(x)
    y.mul_(0.5)
    y.relu_()
    return y - x


def module_passes_it_on(self: nn.Module, x: Tensor) -> Tensor:
    y = x * 2
    z = self.relu(y)
    z *= 3
    return y + z


@pytest.mark.parametrize(
    "body",
    [overwrite_and_read, overwrite_input, overwrite_with_a_method, module_passes_it_on],
    ids=lambda f: f.__name__,
)
def test_what_is_overwritten_is_read_from_the_result(body: object) -> None:
    check(body, left=[])


def view_sees_it(self: nn.Module, x: Tensor) -> Tensor:
    y = x * 2
    flat = y.flatten(1)
    y += 1
    return flat.sum(1)


def base_sees_it(self: nn.Module, x: Tensor) -> Tensor:
    y = x * 2
    first, second = y.chunk(2, 1)
    first += 1
    return torch.cat([y, second], 1)


def attribute_sees_it(self: nn.Module, x: Tensor) -> Tensor:  # torch.fx looks it up last
    y = x * 2
    turned = y.mT
    y += 1
    return turned + 0


def cast_sees_it(self: nn.Module, x: Tensor) -> Tensor:
    y = x * 2
    same = y.float()
    y += 1
    return same + 0


@pytest.mark.parametrize(
    ("body", "left"),
    [
        (attribute_sees_it, ["getattr"]),
        (cast_sees_it, ["float", "iadd"]),
        (view_sees_it, ["iadd"]),
        (base_sees_it, ["chunk", "getitem", "getitem", "iadd"]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_others_can_see_stays_overwritten(body: object, left: list[str]) -> None:
    check(body, left=left)


def test_buffers_are_overwritten_still() -> None:
    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("total", torch.zeros(1))

        def forward(self, x: Tensor) -> Tensor:
            self.total.add_(x.sum())
            total = self.total
            total += 1
            return x * total

    network, other = Counts(), Counts()
    gm = trace(network)
    for _ in range(2):
        assert torch.equal(run(gm, X), run(other, X))
    assert torch.equal(network.total, other.total)
    assert functions(gm) == ["add_", "iadd"]


def test_dropout_follows_the_mode_if_the_code_does() -> None:
    following = trace(Of(lambda self, x: functional.dropout(x, 0.5, training=self.training)).eval())
    assert calls(following) == ["dropout"]
    assert not following.dropout.training
    assert torch.equal(run(following, X), X)
    following.train()
    assert 0.2 < (run(following, X) == 0).double().mean() < 0.8


def test_dropout_that_is_always_on_or_off_stays() -> None:
    for is_on in (True, False):
        gm = trace(Of(lambda self, x, is_on=is_on: functional.dropout(x, 0.5, is_on)))
        assert functions(gm) == ["dropout"]
        for is_training in (True, False):
            gm.train(is_training)
            assert bool((run(gm, X) == 0).any()) == is_on


def test_new_modules_take_the_mode_of_their_place() -> None:
    network = Residual().train()
    network.layer1[0].eval()
    gm = trace(network)
    assert not gm.get_submodule("layer1.0.add").training
    assert gm.get_submodule("layer1.1.add").training
