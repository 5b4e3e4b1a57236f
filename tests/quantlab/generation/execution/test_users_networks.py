"""Networks as people write them, compiled for inference."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from quantlab.errors import UsageError
from quantlab.generation import MLGConv2d, MLGSpec
from quantlab.generation.execution import compile_for_inference

IMAGES = torch.randn(5, 4, 6, 6, generator=torch.Generator().manual_seed(0))
SPEC = MLGSpec(base_in=2, base_out=3)


class Viewing(nn.Linear):
    """A layer with a forward pass of its own, which reads an image in the order of memory."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.view(len(x), -1))


class Of(nn.Module):
    """Two generated convolutions, what else there may be, and several lines."""

    def __init__(self, body: Callable[["Of", Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = body
        self.first = MLGConv2d(4, 8, 3, padding=1, spec=SPEC)
        self.second = MLGConv2d(8, 8, 3, padding=1, spec=SPEC)
        self.linear, self.viewing = nn.Linear(8 * 36, 3), Viewing(8 * 36, 3)
        self.positions = nn.Parameter(torch.randn(1, 8, 6, 6))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(self, x)


def compared(body: Callable[[Of, Tensor], Tensor], mode: str, num_examples: int) -> None:
    network = Of(body).eval()
    with torch.no_grad():
        wanted = copy.deepcopy(network)(IMAGES)
    compiled = compile_for_inference(network, IMAGES[:num_examples], mode=mode)
    torch.testing.assert_close(compiled(IMAGES), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("mode", ["fused", "factored", "generated"])
@pytest.mark.parametrize("num_examples", [1, 2])
@pytest.mark.parametrize(
    "body",
    [
        lambda self, x: self.second(self.first(x) + self.positions),
        lambda self, x: self.positions + self.first(x),
        lambda self, x: self.second(self.first(x)) + self.first(x).mean(0, keepdim=True),
        lambda self, x: self.second(self.positions) + self.first(x),
    ],
    ids=["parameter", "parameter first", "mean of the batch", "layer of a parameter"],
)
def test_what_is_the_same_for_all_images(
    body: Callable[[Of, Tensor], Tensor], num_examples: int, mode: str
) -> None:
    compared(body, mode, num_examples)


@pytest.mark.parametrize("mode", ["fused", "generated"])
@pytest.mark.parametrize(
    "body",
    [
        lambda self, x: self.linear(self.second(self.first(x)).view(x.size(0), -1)),
        lambda self, x: self.linear(self.first(x).view(-1, 8 * 36)),
        lambda self, x: self.first(x).view_as(x.repeat(1, 2, 1, 1).flatten(1)),
        lambda self, x: self.viewing(self.first(x)),
    ],
    ids=["size", "number", "another's size", "a layer of one's own"],
)
def test_views_of_images(body: Callable[[Of, Tensor], Tensor], mode: str) -> None:
    compared(body, mode, 2)


@pytest.mark.parametrize("mode", ["fused", "generated"])
def test_bounds_that_cross_give_the_upper_one(mode: str) -> None:
    compared(lambda self, x: self.first(x).clamp(2, 1), mode, 2)


@pytest.mark.parametrize("mode", ["fused", "factored", "generated"])
def test_another_default_type(mode: str) -> None:
    before = torch.get_default_dtype()
    try:
        network = Of(lambda self, x: self.second(self.first(x)).relu()).eval()
        torch.set_default_dtype(torch.float64)
        compiled = compile_for_inference(network, IMAGES, mode=mode)
        torch.testing.assert_close(compiled(IMAGES), network(IMAGES), rtol=1e-4, atol=1e-4)
    finally:
        torch.set_default_dtype(before)


@pytest.mark.parametrize("mode", ["fused", "factored", "generated"])
def test_autocast_changes_nothing(mode: str) -> None:
    network = Of(lambda self, x: self.linear(self.second(self.first(x)).flatten(1)) * 2)
    wanted = compile_for_inference(network.eval(), IMAGES, mode=mode)(IMAGES)
    with torch.autocast("cpu", torch.bfloat16):
        compiled = compile_for_inference(network, IMAGES, mode=mode)
        assert torch.equal(compiled(IMAGES), wanted)


@pytest.mark.filterwarnings("ignore:`torch.jit.trace:DeprecationWarning")
def test_what_is_recorded_would_compute_nothing() -> None:
    compiled = compile_for_inference(nn.Sequential(nn.Conv2d(4, 8, 3)), IMAGES, mode="fused")
    with pytest.raises(UsageError, match=r"torch.jit.trace: a network compiled for inference"):
        torch.jit.trace(compiled, IMAGES)


def test_hooks_of_the_network_itself_are_refused() -> None:
    network = nn.Sequential(nn.Conv2d(4, 8, 3), nn.ReLU())
    handle = network.register_forward_hook(lambda module, args, y: y * 2)
    with pytest.raises(UsageError, match=r"network: a hook of its own given.*nn.Sequential"):
        compile_for_inference(network, IMAGES)
    handle.remove()
    compile_for_inference(network, IMAGES)


def test_what_is_no_network_to_compile_or_compare() -> None:
    compiled = compile_for_inference(nn.Sequential(nn.Conv2d(4, 8, 3)), IMAGES, mode="fused")
    with pytest.raises(UsageError, match="network: a network compiled for inference given"):
        compile_for_inference(compiled, IMAGES)
    with pytest.raises(UsageError, match=r"network: a str given, a torch.nn.Module allowed"):
        compiled.check_made_from("network")
