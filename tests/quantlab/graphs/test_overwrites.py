import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, fx, nn

from quantlab.errors import UsageError
from quantlab.floats.interpreter import run as run_floats
from quantlab.floats.lower.lower import lower as lower_floats
from quantlab.generation.execution import compile_for_inference
from quantlab.graphs.check_overwrites import check_overwrites
from quantlab.graphs.overwrites import keep_inputs
from quantlab.graphs.trace import trace
from quantlab.integer.lower import InputSpec, lower
from tests.quantlab.graphs.networks import calls, run

X = torch.randn(2, 4, 4, 4, generator=torch.Generator().manual_seed(0))
Body = Callable[["Of", Tensor], Tensor]


class Of(nn.Module):
    """A network of several lines and a layer that overwrites its input."""

    def __init__(self, body: Body) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = body
        self.relu = nn.ReLU(inplace=True)
        self.first, self.second = (nn.Conv2d(4, 4, 3, padding=1) for _ in range(2))
        self.block = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(4, 4, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(self, x)


def shortcut_before_activation(self: Of, x: Tensor) -> Tensor:
    y = self.first(x)
    return self.block(y) + y


def statement(self: Of, x: Tensor) -> Tensor:
    y = self.first(x)
    self.relu(y)
    return self.second(y)


def read_before_and_after(self: Of, x: Tensor) -> Tensor:
    y = self.first(x)
    z = self.second(y)
    self.relu(y)
    return z + y


def unknown_method(self: Of, x: Tensor) -> Tensor:
    y = self.first(x)
    z = self.second(y)
    y.masked_fill_(y > 0, 1.0)
    return z + y


def half(self: Of, x: Tensor) -> Tensor:
    left, right = self.first(x).chunk(2, 1)
    return torch.cat([self.relu(left), right], 1)


def view(self: Of, x: Tensor) -> Tensor:
    y = self.first(x)
    y.flatten(1).relu_()
    return self.second(y)


def whole(self: Of, x: Tensor) -> Tensor:
    y = self.first(x)
    _, right = y.chunk(2, 1)
    self.relu(y)
    return right


BODIES = [shortcut_before_activation, statement, read_before_and_after, unknown_method, half]
SEEN = [view, whole]


def network_of(body: Body) -> tuple[Of, Tensor]:
    network = Of(body).eval()
    with torch.no_grad():
        return network, copy.deepcopy(network)(X)


@pytest.mark.parametrize("body", BODIES)
def test_a_graph_may_compute_in_any_order(body: Body) -> None:
    network, wanted = network_of(body)
    gm = trace(network)
    assert torch.equal(run(gm, X), wanted)
    check_overwrites(gm)
    keep_inputs(gm)
    gm.graph.eliminate_dead_code()
    for node in reversed(list(gm.graph.nodes)):  # each node as late as it may be computed
        later = [one for one in gm.graph.nodes if one in node.users]
        if later and node.op not in ("placeholder", "get_attr"):
            later[0].prepend(node)
    gm.recompile()
    assert torch.equal(run(gm, X), wanted)


@pytest.mark.parametrize("body", SEEN)
def test_what_is_read_under_another_name_is_refused(body: Body) -> None:
    network, wanted = network_of(body)
    gm = trace(network)
    assert torch.equal(run(gm, X), wanted)
    for compute in (check_overwrites, lambda gm: lower_floats(gm, X)):
        with pytest.raises(UsageError, match=r"overwrites '.*', which '.*' reads later as '.*'"):
            compute(gm)
    with pytest.raises(UsageError, match="overwrites"):
        lower(network, InputSpec(shape=(4, 4, 4), scale=(1.0,) * 4, zero_point=(0,) * 4), X)


@pytest.mark.parametrize("body", [*BODIES[:3], half])
def test_programs_and_compiled_networks_compute_the_same(body: Body) -> None:
    network, wanted = network_of(body)
    compiled = compile_for_inference(network, X)
    torch.testing.assert_close(compiled(X), wanted, rtol=1e-5, atol=1e-5)
    program = lower_floats(network, X)
    (output,) = program.outputs
    made = torch.from_numpy(run_floats(program, {"input": X.numpy()})[output])
    torch.testing.assert_close(made.reshape(wanted.shape), wanted, rtol=1e-5, atol=1e-5)
    assert network.relu.inplace


def test_a_hook_may_give_something_else() -> None:
    network = Of(statement).eval()
    network.relu.register_forward_hook(lambda module, args, y: y * 2)
    gm = trace(network)
    assert calls(gm) == ["first", "relu", "second"]
    assert torch.equal(run(gm, X), copy.deepcopy(network)(X))
    with pytest.raises(UsageError, match=r"'relu' .* overwrites 'first', which 'second' reads"):
        check_overwrites(gm)


def test_numbers_are_not_overwritten() -> None:
    class Counts(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            count = x.shape[2]
            half = count
            count += 0
            return x.reshape(-1, half * count)

    gm = trace(Counts())
    assert isinstance(gm, fx.GraphModule)
    check_overwrites(gm)
