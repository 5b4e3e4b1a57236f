"""Networks with blocks against the same ones without."""

import copy
import importlib
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from quantlab.graphs.select import select
from quantlab.memory.step import saved_bytes
from quantlab.sparse import (
    SparseBlock,
    SparseConv2d,
    apply_masks,
    global_magnitude,
    sparsify,
    swap_layers,
    uniform_magnitude,
)
from quantlab.sparse.compact_batch_norm import CompactBatchNorm2d
from quantlab.sparse.compact_relu import CompactReLU
from quantlab.sparse.config import PruneConfig, prune
from quantlab.sparse.fuse_blocks import fuse_blocks
from tests.quantlab.sparse.cases import gradients, turned, within


def pruned(name: str) -> nn.Module:
    torch.manual_seed(0)
    module = importlib.import_module(f"problems.CIFAR10.{name}.network")
    network: nn.Module = module.VGG() if name == "VGG" else module.ResNet(depth=8)
    masks = global_magnitude(network, 0.9, selector=select("!first & !last"))
    whole = uniform_magnitude(network, 0.0, selector=select("first"))
    return sparsify(network, {**masks, **whole})


@pytest.mark.parametrize("name", ["VGG", "ResNet"])
def test_networks_compute_what_they_did(name: str) -> None:
    network = pruned(name)
    fused = fuse_blocks(copy.deepcopy(network))
    assert any(isinstance(module, SparseBlock) for module in fused.modules())
    assert not any(type(module) is nn.ReLU for module in fused.modules())
    x = torch.randn(8, 3, 32, 32)
    torch.testing.assert_close(fused(x), network(x), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(fused.eval()(x), network.eval()(x), rtol=1e-3, atol=1e-4)
    assert len(fused.state_dict()) == len(network.state_dict())


@pytest.mark.parametrize("name", ["VGG", "ResNet"])
def test_gradients_are_those_of_the_network(name: str) -> None:
    network = pruned(name)
    fused = fuse_blocks(network)  # of the same parameters
    parameters = list(network.parameters())
    assert {*map(id, fused.parameters())} == {*map(id, parameters)}
    x, y = torch.randn(16, 3, 32, 32), torch.randint(10, (16,))
    wanted, found = (
        torch.autograd.grad(nn.functional.cross_entropy(net(x), y), parameters)
        for net in (network, fused)
    )
    for one, other in zip(found, wanted, strict=True):
        assert (one - other).norm() <= 0.1 * other.norm()


def test_dense_layers_in_the_graph_hold_their_zeros() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)
    )
    apply_masks(net, uniform_magnitude(net, 0.7))
    swapped, _ = swap_layers(net, (2, 3, 6, 6), choices={"0": "dense", "3": "sparse"})
    for gm in (fuse_blocks(swapped), copy.deepcopy(fuse_blocks(swapped))):
        assert isinstance(gm.get_submodule("3"), SparseBlock)
        before, optimizer = gm.get_parameter("0.weight").clone(), torch.optim.SGD(gm.parameters())
        gm(torch.randn(2, 3, 6, 6)).square().sum().backward()
        optimizer.step()
        assert torch.equal(gm.get_parameter("0.weight") == 0, before == 0)


def test_less_is_kept() -> None:
    dense = importlib.import_module("problems.CIFAR10.VGG.network").VGG()
    fused = fuse_blocks(pruned("VGG"))
    x = torch.randn(64, 3, 32, 32)  # large enough for tensors with pages of their own
    part = saved_bytes(lambda: fused(x)) / saved_bytes(lambda: dense(x))
    assert 0.1 < part < 0.30


def test_what_is_used_elsewhere_stays() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = SparseConv2d.from_dense(nn.Conv2d(2, 2, 3, padding=1))
            self.norm = nn.BatchNorm2d(2)

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x)
            z: Tensor = self.norm(y) + y
            return z

    fused = fuse_blocks(Shared())
    assert not any(isinstance(module, SparseBlock) for module in fused.modules())


def test_a_compact_relu() -> None:
    for x in (torch.randn(5, 7, 3)[:, ::2], turned(torch.randn(5, 7, 3))):
        x.requires_grad_()
        weights = torch.randn(x.shape)
        (wanted,) = torch.autograd.grad((torch.relu(x) * weights).sum(), x)
        for inplace in (False, True):
            y = CompactReLU(inplace=inplace)(x * 1)
            assert torch.equal(y, torch.relu(x))
            (found,) = torch.autograd.grad((y * weights).sum(), x)
            assert torch.equal(found, wanted)
    big = torch.randn(8000, requires_grad=True)
    assert saved_bytes(lambda: CompactReLU()(big), includes_existing=True) == 1000


@pytest.mark.parametrize("layers", ["sparse", "half", "int8", "masked"])
def test_every_arithmetic_trains(layers: Literal["sparse", "half", "int8", "masked"]) -> None:
    torch.manual_seed(0)
    network = importlib.import_module("problems.CIFAR10.ResNet.network").ResNet(depth=8)
    network = prune(network, PruneConfig(sparsity=0.8, select="!first & !last", layers=layers))
    fused = fuse_blocks(network)
    x, y = torch.randn(16, 3, 32, 32), torch.randint(10, (16,))
    parameters = list(network.parameters())
    wanted, found = (
        torch.autograd.grad(nn.functional.cross_entropy(net(x), y), parameters)
        for net in (network, fused)
    )
    one, other = (torch.cat([part.reshape(-1) for part in parts]) for parts in (found, wanted))
    assert torch.cosine_similarity(one, other, dim=0) > (0.9 if layers == "int8" else 0.99)


def test_sums_become_their_relu_in_place_and_views_are_of_any_strides() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = SparseConv2d.from_dense(nn.Conv2d(2, 2, 3, padding=1))
            self.norm, self.relu = nn.BatchNorm2d(2), nn.ReLU()
            self.linear = nn.Linear(32, 3)

        def forward(self, x: Tensor) -> Tensor:
            y = self.relu(self.norm(self.conv(x)) + x)
            z: Tensor = self.linear(y.view(x.size(0), -1))
            return z

    network = Residual()
    fused = fuse_blocks(copy.deepcopy(network))
    (relu,) = (module for module in fused.modules() if isinstance(module, CompactReLU))
    assert relu.inplace
    x = torch.randn(6, 2, 4, 4)
    y, found = gradients(fused, x)
    wanted, grads = gradients(network, x)
    within(y, wanted, 1e-5)
    for one, other in zip(found, grads, strict=True):
        assert (one - other).norm() <= 0.02 * other.norm() + 1e-5


def test_a_relu_that_is_no_sum_leaves_its_input() -> None:
    network = nn.Sequential(nn.Conv2d(2, 2, 3), nn.ReLU(), nn.Conv2d(2, 2, 1))
    fused = fuse_blocks(network)
    (relu,) = (module for module in fused.modules() if isinstance(module, CompactReLU))
    assert not relu.inplace


def test_infinity_and_nan_are_where_torch_has_them() -> None:
    x = torch.tensor([-1.0, 0.0, 2.0, torch.nan, torch.inf], requires_grad=True)
    gradient = torch.tensor([torch.inf, torch.nan, torch.inf, 3.0, torch.nan])
    for inplace in (False, True):
        (found,) = torch.autograd.grad(CompactReLU(inplace=inplace)(x * 1), x, gradient)
        (wanted,) = torch.autograd.grad(torch.relu(x), x, gradient)
        assert torch.equal(found.nan_to_num(7.0), wanted.nan_to_num(7.0))


def test_compact_layers_elsewhere_are_those_of_torch() -> None:
    x = torch.empty(2, 3, 4, 4, device="meta", requires_grad=True)
    norm = CompactBatchNorm2d(nn.BatchNorm2d(3, device="meta"), has_relu=True)
    assert CompactReLU()(norm(x)).device.type == "meta"


@pytest.mark.parametrize("reader", ["before", "beside"])
def test_what_a_relu_changes_in_place_is_read_so(reader: str) -> None:
    class Changing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = SparseConv2d.from_dense(nn.Conv2d(2, 4, 3))
            self.norm, self.relu = nn.BatchNorm2d(4), nn.ReLU(inplace=True)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.conv(x)
            y = y if reader == "before" else self.norm(y)
            z: Tensor = self.relu(y)
            if reader == "before":  # the batch norm, of what the ReLU changes
                y = self.norm(y)
            return y + 2 * z

    torch.manual_seed(0)
    network = Changing()
    fused = fuse_blocks(copy.deepcopy(network))
    x = torch.randn(6, 2, 5, 5)
    torch.testing.assert_close(fused(x), network(x), rtol=1e-4, atol=1e-5)


class Doubled(nn.BatchNorm2d):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


class Leaky(nn.ReLU):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.leaky_relu(x)


class Least(nn.MaxPool2d):
    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = super().forward(-x)
        return -y


@pytest.mark.parametrize("special", ["norm", "relu", "pool"])
def test_subclasses_compute_what_they_define(special: str) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        SparseConv2d.from_dense(nn.Conv2d(2, 4, 3)),
        (Doubled if special == "norm" else nn.BatchNorm2d)(4),
        (Leaky if special == "relu" else nn.ReLU)(),
        (Least if special == "pool" else nn.MaxPool2d)(2),
    )
    fused = fuse_blocks(copy.deepcopy(network))
    x = torch.randn(6, 2, 6, 6)
    torch.testing.assert_close(fused(x), network(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("place", range(4))
def test_hooks_are_called(place: int) -> None:
    network = nn.Sequential(
        SparseConv2d.from_dense(nn.Conv2d(2, 4, 3)), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)
    )
    calls: list[nn.Module] = []
    network[place].register_forward_hook(lambda module, *_: calls.append(module))
    fuse_blocks(network)(torch.randn(6, 2, 6, 6))
    assert calls == [network[place]]
