import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from problems.ImageNet.MobileNetV2.network import MobileNetV2
from problems.ImageNet.ResNet.network import ResNet
from quantlab.errors import UsageError
from quantlab.graphs.operations import Operation
from quantlab.graphs.select import quantizable_layers
from quantlab.graphs.trace import Method, trace
from quantlab.vision import torchvision
from tests.quantlab.graphs.networks import (
    Block,
    CarryingConv2d,
    Grid,
    Residual,
    calls,
    functions,
    run,
    settle,
)

METHODS: tuple[Method, ...] = ("symbolic", "export")


def images(size: int = 8, batch: int = 2) -> Tensor:
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(0)).double()


@pytest.mark.parametrize("method", METHODS)
def test_a_residual_network(method: Method) -> None:
    network = settle(Residual())
    state = {k: v.clone() for k, v in network.state_dict().items()}
    gm = trace(network, images(), method=method)
    block = ["conv1", "bn1", "relu", "conv2", "bn2", "add", "relu_1"]
    assert calls(gm) == [
        "stem",
        "relu",
        *(f"layer1.{i}.{name}" for i in range(2) for name in block),
        "adaptive_avg_pool2d",
        "flatten",
        "dropout",
        "fc",
    ]
    assert not functions(gm)
    assert list(gm.state_dict()) == list(state)
    assert all(gm.get_parameter(n) is p for n, p in network.named_parameters())
    assert gm.get_submodule("layer1.0.conv1") is network.layer1[0].conv1
    assert list(quantizable_layers(gm)) == list(quantizable_layers(network))
    for batch in (1, 2, 5):
        x = images(batch=batch)
        assert torch.equal(run(gm, x), run(network, x))
    assert all(torch.equal(v, state[k]) for k, v in network.state_dict().items())
    assert not any("constant" in name for name in vars(network))


@pytest.mark.parametrize("method", METHODS)
def test_training_goes_on_alike(method: Method) -> None:
    """Forward, gradients, batch norms' statistics and dropout's masks are those of the network."""
    network, other = settle(Residual()).train(), settle(Residual()).train()
    gm = trace(network, images(), method=method)
    for seed in range(2):
        torch.manual_seed(seed)
        expected = other(images())
        torch.manual_seed(seed)
        result = gm(images())
        assert torch.equal(result, expected)
        result.square().sum().backward()
        expected.square().sum().backward()
    for (name, mine), theirs in zip(gm.named_parameters(), other.parameters(), strict=True):
        assert torch.equal(mine.grad, theirs.grad), name
    for name, buffer in other.named_buffers():
        assert torch.equal(gm.get_buffer(name), buffer), name
    gm.eval()
    assert not any(m.training for m in network.modules() if not list(m.children()))
    assert torch.equal(run(gm, images()), run(other.eval(), images()))


@pytest.mark.parametrize("method", METHODS)
def test_our_own_networks(method: Method) -> None:
    resnet, mobilenet = ResNet(18, num_classes=5), MobileNetV2(num_classes=5, width=0.35)
    for network in (resnet, mobilenet) if method == "symbolic" else (resnet,):
        settle(network)
        gm = trace(network, images(32), method=method)
        assert torch.equal(run(gm, images(32)), run(network, images(32)))
        assert list(gm.state_dict()) == list(network.state_dict())
        assert not functions(gm)
        names = {n for n, m in gm.named_modules() if isinstance(m, Operation)}
        assert names <= {f"layer{i}.{j}.add" for i in range(1, 5) for j in range(2)} | {
            f"features.{i}.add" for i in range(18)
        }


class Aliases(nn.Module):
    """One block under two names and called twice; a buffer and a parameter of no layer."""

    def __init__(self) -> None:
        super().__init__()
        self.block = Block(3)
        self.again = self.block
        self.gain = nn.Parameter(torch.full((3, 1, 1), 0.7))
        self.register_buffer("offset", torch.full((3, 1, 1), 0.3))
        self.register_buffer("scratch", torch.full((3, 1, 1), 0.1), persistent=False)
        self.table = torch.full((3, 1, 1), 0.2, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block(x - self.offset) * self.gain
        constant = torch.tensor([1.0, 2.0, 3.0]).reshape(3, 1, 1)
        return self.again(x + self.scratch - self.table) * constant


@pytest.mark.parametrize("method", METHODS)
def test_shared_blocks_buffers_and_constants(method: Method) -> None:
    network = settle(Aliases())
    gm = trace(network, images(), method=method)
    assert torch.equal(run(gm, images()), run(network, images()))
    assert {"block.conv1", "block.conv1_1", "block.add", "block.add_1"} < set(calls(gm))
    assert len(calls(gm)) == len(set(calls(gm)))
    assert set(network.state_dict()) <= set(gm.state_dict())
    assert not [key for key in gm.state_dict() if "constant" in key or "lifted" in key]
    assert {id(p) for p in gm.parameters()} == {id(p) for p in network.parameters()}
    network.offset.fill_(5)  # read each time, not written down
    network.scratch.fill_(7)
    assert torch.equal(run(gm, images()), run(network, images()))
    assert set(vars(network)) == set(vars(Aliases()))


@pytest.mark.parametrize("method", METHODS)
def test_quantizers_and_their_layers_are_leaves(method: Method) -> None:
    slots = {f"{on}_quantizer": Grid() for on in ("weight", "input", "output")}
    network = nn.Sequential(CarryingConv2d(3, 3, 1, quantizers=slots), Grid(), Block(3))
    settle(network)
    gm = trace(network, images(), method=method)
    assert calls(gm)[:3] == ["0", "1", "2.conv1"]
    assert torch.equal(run(gm, images()), run(network, images()))


def test_more_leaves() -> None:
    assert calls(trace(Residual(), leaves=(Block,)))[2:4] == ["layer1.0", "layer1.1"]


def test_tracing_a_graph_again_changes_nothing() -> None:
    gm = trace(Residual(), images().float())
    again = trace(gm, images().float())
    assert calls(again) == calls(gm)
    assert list(again.state_dict()) == list(gm.state_dict())
    assert str(again.graph) == str(gm.graph)


class Noisy(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn_like(x) if self.training else x


class Functional(nn.Module):
    """A network without a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(5, 192))

    def forward(self, x: Tensor) -> Tensor:
        x = functional.linear(x.flatten(1), self.weight)
        return functional.dropout(x, 0.5, training=self.training)


def test_a_network_of_functions_only() -> None:
    network = Functional().double().eval()
    gm = trace(network)
    assert (calls(gm), functions(gm)) == (["flatten", "dropout"], ["linear"])
    assert torch.equal(run(gm, images()), run(network, images()))


def test_modules_that_look_at_the_mode_follow_it() -> None:
    gm = trace(nn.Sequential(nn.Conv2d(3, 3, 1), Noisy()).eval())
    x = images().float()
    assert torch.equal(gm(x), gm(x))
    gm.train()
    assert not torch.equal(gm(x), gm(x))


def test_modules_that_look_at_the_mode_are_looked_into() -> None:
    network = nn.Sequential(nn.Conv2d(3, 3, 1), Noisy()).eval()
    gm = trace(network, keeps_modes=False)
    assert (calls(gm), functions(gm)) == (["0"], [])
    assert torch.equal(gm.train()(images().float()), network(images().float()))


class Optional(nn.Module):
    def forward(
        self, x: Tensor, mask: Tensor | None = None, is_last: bool = False, factor: float = 2.0
    ) -> Tensor:
        x = x * factor if mask is None else x * mask
        return x.relu() if is_last else x


@pytest.mark.parametrize("given", [1, 2])
def test_arguments_that_choose_a_way_are_their_defaults(given: int) -> None:
    """Unless the example has them. Numbers stay arguments."""
    example = (images(), images(batch=2) > 0)[:given]
    gm = trace(Optional(), example)
    names = [str(node.target) for node in gm.graph.find_nodes(op="placeholder")]
    assert names == [*("x", "mask")[:given], "factor"]
    assert torch.equal(gm(*example), Optional()(*example))
    assert torch.equal(gm(*example, factor=3.0), Optional()(*example, factor=3.0))


class Body(nn.Module):
    def __init__(self, body: Callable[..., Tensor]) -> None:
        super().__init__()
        self.body = body
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(self, x)


def branch_on_values(self: Any, x: Tensor) -> Tensor:
    if x.sum() > 0:
        return self.conv(x)
    return x


def branch_on_shape(self: Any, x: Tensor) -> Tensor:
    return self.conv(x) if x.shape[2] > 4 else x


def iterate(self: Any, x: Tensor) -> Tensor:
    return torch.cat([self.conv(part) for part in x.split(1)])


def count_batch(self: Any, x: Tensor) -> Tensor:
    return self.conv(x) * len(x)


def count_channels(self: Any, x: Tensor) -> Tensor:
    for _ in range(x.shape[1]):
        x = self.conv(x)
    return functional.relu(x)


def assign(self: Any, x: Tensor) -> Tensor:
    x = self.conv(x)
    x[:, 0] = 1
    return x


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (branch_on_values, "if x.sum() > 0:"),
        (branch_on_shape, "return self.conv(x) if x.shape[2] > 4 else x"),
        (iterate, "return torch.cat([self.conv(part) for part in x.split(1)])"),
        (count_batch, "return self.conv(x) * len(x)"),
        (count_channels, "for _ in range(x.shape[1]):"),
        (assign, "x[:, 0] = 1"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_cannot_be_traced_is_named_with_the_remedy(
    body: Callable[..., Tensor], code: str, capfd: pytest.CaptureFixture[str]
) -> None:
    network = nn.Sequential(nn.ReLU(), nn.ModuleDict({"inner": Body(body)})["inner"]).double()
    with pytest.raises(UsageError) as caught:
        trace(network)
    message = str(caught.value)
    number = body.__code__.co_firstlineno
    assert message.startswith("trace: 1: tests/quantlab/graphs/test_trace.py:")
    assert number <= int(message.split(":")[3]) <= number + 3
    assert f": '{code}' cannot be traced (" in message
    assert message.endswith('); trace(net, example, method="export") follows an example')
    assert "\n" not in message
    if body is branch_on_values:
        with pytest.raises(UsageError) as caught:
            trace(network, images(), method="export")
        message = str(caught.value)
        assert message.startswith("trace: 1: tests/quantlab/graphs/test_trace.py:")
        assert f": '{code}' cannot be exported (" in message
        assert "\n" not in message
    else:
        gm = trace(network, images(), method="export")
        assert torch.equal(run(gm, images()), run(network, images()))
        assert "1.conv" in calls(gm)
    assert capfd.readouterr() == ("", "")


def draw_torch(self: Any, x: Tensor) -> Tensor:
    return self.conv(x) + torch.randn(3, 1, 1)


def draw_python(self: Any, x: Tensor) -> Tensor:
    return self.conv(x) if random.random() < 2 else x


def draw_numpy(self: Any, x: Tensor) -> Tensor:
    return self.conv(x) * np.random.rand()  # noqa: NPY002


@pytest.mark.parametrize(
    ("body", "method"),
    [
        *((body, "symbolic") for body in (draw_torch, draw_python, draw_numpy)),
        *((body, "export") for body in (draw_python, draw_numpy)),
    ],
)
def test_random_draws_are_not_written_down(body: Callable[..., Tensor], method: Method) -> None:
    with pytest.raises(UsageError, match=r"^trace: Body: its forward pass draws random numbers, "):
        trace(Body(body).double(), images(), method=method)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"net": nn.DataParallel(Block())},
            "trace: a single DataParallel given, which has no graph; net.module has one",
        ),
        (
            {"net": nn.Linear(1, 1)},
            "trace: a single Linear given, which has no graph; nn.Sequential(net) has one",
        ),
        ({"net": Block(), "method": "exprot"}, "did you mean 'export'?"),
        ({"net": Block(), "method": "export"}, "without an example"),
    ],
)
def test_misuse(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        trace(**arguments)
    assert message in str(caught.value)


# What computes on values in them is a module in the graph; these functions only rearrange.
REARRANGING = {
    *("chunk", "contiguous", "floordiv", "getitem", "permute", "size", "sym_size", "transpose"),
    "view",
}
SMALL = ("mobilenet_v3_small", "shufflenet_v2_x1_0", "squeezenet1_1")
LARGE = (
    "alexnet",
    "vgg11_bn",
    "resnet18",
    "resnext50_32x4d",
    "mobilenet_v2",
    "densenet121",
    "googlenet",
    "mnasnet1_0",
    "efficientnet_b0",
    "regnet_y_400mf",
    "convnext_tiny",
    "swin_t",
)


def check_torchvision(name: str, method: Method) -> None:
    options: dict[str, Any] = {"init_weights": False} if name == "googlenet" else {}
    network = settle(getattr(torchvision.models, name)(weights=None, num_classes=7, **options))
    gm = trace(network, images(64), method=method)
    expected = run(network, images(64))
    assert expected.isfinite().all()
    assert torch.equal(run(gm, images(64)), expected)
    assert list(gm.state_dict()) == list(network.state_dict())
    found = {function.partition(".")[0] for function in functions(gm)}
    if name != "swin_t":  # its attention is one function of torchvision
        assert found <= REARRANGING


@pytest.mark.parametrize("name", SMALL)
def test_small_networks_of_torchvision(name: str) -> None:
    check_torchvision(name, "symbolic")


@pytest.mark.long
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", SMALL + LARGE)
def test_networks_of_torchvision(name: str, method: Method) -> None:
    check_torchvision(name, method)


@pytest.mark.long
def test_a_network_of_torchvision_trains_alike() -> None:
    """Stochastic depth, dropout and batch norm follow the mode, with the same random numbers."""
    network = settle(torchvision.models.efficientnet_b0(weights=None, num_classes=7))
    gm = trace(network)
    for is_training in (True, False):
        gm.train(is_training)
        network.train(is_training)
        torch.manual_seed(0)
        expected = network(images(64))
        torch.manual_seed(0)
        assert torch.equal(gm(images(64)), expected)
