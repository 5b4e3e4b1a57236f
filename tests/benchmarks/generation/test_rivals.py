"""The rivals of generated weights: published sizes, exact forms, nearest starts, bytes."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from benchmarks.generation.rivals import bsconv, circnn, codebooks, dsconv, penni, svd
from benchmarks.generation.rivals.stored import file_bytes
from problems.CIFAR10.DenseNet.network import DenseNet
from problems.CIFAR10.ResNet.network import ResNet
from quantlab.algorithms import quantize
from quantlab.algorithms.after_training import calibrate
from quantlab.errors import UsageError
from tests.waiting import no_waiting

Convert = Callable[[nn.Module], nn.Module]
RIVALS: dict[str, Convert] = {
    "bsconv": bsconv.convert,
    "dsconv": dsconv.convert,
    "penni": penni.convert,
    "circnn": circnn.convert,
    "svd": lambda network: svd.convert(network, share=0.5),
    "codebooks": lambda network: codebooks.convert(network, num_centroids=5),
    "sought codebooks": lambda network: codebooks.convert(network, num_centroids=5, is_sought=True),
}
# The ratio of parameters to those of the dense network, ResNet-18's and DenseNet-121's, on 10 and
# on 100 classes: the table of Gu et al. 2021. It cuts two of PENNI's, to .2383 and .7608.
PUBLISHED = {
    "dsconv": (0.1287, 0.1323, 0.7362, 0.7396),
    "penni": (0.2352, 0.2384, 0.7609, 0.7640),
    "bsconv": (0.1291, 0.1327, 0.7291, 0.7326),
    "circnn": (0.2510, 0.2541, 0.2601, 0.2698),
}


def num_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_the_published_share(name: str) -> None:
    found = []
    with torch.device("meta"):
        for depth, topology in ((18, ResNet), (121, DenseNet)):
            for num_classes in (10, 100):
                network = topology(depth, num_classes, fc_bias=False)
                dense = num_parameters(network)
                found.append(num_parameters(RIVALS[name](network)) / dense)
    assert tuple(round(share, 4) for share in found) == PUBLISHED[name]


def new_conv(in_channels: int = 8, out_channels: int = 12, stride: int = 2) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(in_channels, out_channels, 3, stride, padding=1).double()


def kernels_of(network: nn.Module) -> Tensor:
    """Return the kernels `[O, I, 3, 3]` of a converted layer, by what it does to unit impulses."""
    size = 5
    impulses = torch.zeros(8, 8, size, size, dtype=torch.float64)
    impulses[range(8), range(8), 2, 2] = 1.0
    empty = network(torch.zeros_like(impulses[:1]))
    for module in network.modules():
        if hasattr(module, "stride"):
            module.stride = (1, 1)
    empty = network(torch.zeros_like(impulses[:1]))
    responses = network(impulses) - empty
    return responses[:, :, 1:4, 1:4].flip(2, 3).transpose(0, 1)


@pytest.mark.parametrize("name", RIVALS)
def test_layers_begin_near_the_dense_ones(name: str) -> None:
    network = nn.Sequential(new_conv())
    x_NCHW = torch.randn(2, 8, 7, 7, dtype=torch.float64)
    dense, expected = network[0].weight.detach().clone(), network(x_NCHW)
    found = RIVALS[name](network)
    assert found(x_NCHW).shape == expected.shape
    kernels = kernels_of(found.eval())
    residual = (kernels - dense).norm() / dense.norm()
    # A projection's residual is at right angles to it.
    along = ((kernels - dense) * kernels).sum() / dense.square().sum()
    assert 0.05 < residual < 0.98
    assert abs(along) < (0.02 if "codebooks" in name else 1e-9)


@pytest.mark.parametrize("name", ["penni", "circnn", "svd"])
def test_layers_of_full_size_are_the_dense_ones(name: str) -> None:
    full: dict[str, Convert] = {
        "penni": lambda network: penni.convert(network, num_bases=9),
        "circnn": lambda network: circnn.convert(network, block=1),
        "svd": lambda network: svd.convert(network, share=1.0),
    }
    network = nn.Sequential(new_conv(stride=2))
    x_NCHW = torch.randn(2, 8, 7, 7, dtype=torch.float64)
    expected = network(x_NCHW)
    torch.testing.assert_close(full[name](network)(x_NCHW), expected)


def test_circulant_blocks() -> None:
    conv = nn.Conv2d(6, 5, 3, padding=1, bias=False)
    layer = circnn.CirculantConv2d(conv, 4)
    weight = layer.weight
    assert weight.shape == conv.weight.shape
    first = layer.first.weight.view(2, 2, 4, 3, 3)
    for row in range(5):
        for column in range(6):
            expected = first[row // 4, column // 4, (row - column) % 4]
            assert torch.equal(weight[row, column], expected)


@pytest.mark.parametrize("name", RIVALS)
def test_all_factors_train_and_have_bits_in_steps_that_do_not_wait(name: str) -> None:
    torch.manual_seed(0)
    network = RIVALS[name](ResNet(8, width=8))
    rule = {"select": "*", "on": "weight", "algorithm": {"kind": "lsq", "num_bits": 4}}
    quantize(network, [rule])
    images, targets = torch.randn(4, 3, 32, 32), torch.arange(4)
    calibrate(network, [images])
    network.train()
    optimizer = torch.optim.SGD(network.parameters(), 0.1, foreach=True)
    before = {key: value.clone() for key, value in network.named_parameters()}
    with no_waiting():
        nn.functional.cross_entropy(network(images), targets).backward()
        optimizer.step()
    assert all(not torch.equal(value, before[key]) for key, value in network.named_parameters())


def test_codebooks_choose_the_nearest_centroids() -> None:
    layer = codebooks.CodebookConv2d(new_conv(), 4, 2, is_sought=True, seed=0)
    layer(torch.randn(1, 8, 5, 5, dtype=torch.float64))
    assert layer.latent is not None
    distances = torch.cdist(layer.latent, layer.codebook.half().double())
    assert torch.equal(layer.indices, distances.argmin(1))
    with torch.no_grad():
        layer.latent.neg_()
    before = layer.indices.clone()
    layer.eval()(torch.randn(1, 8, 5, 5, dtype=torch.float64))
    assert torch.equal(layer.indices, before)
    layer.train()(torch.randn(1, 8, 5, 5, dtype=torch.float64))
    assert not torch.equal(layer.indices, before)


def test_bytes_are_counted() -> None:
    network = nn.Sequential(
        nn.Conv2d(4, 8, 3, bias=False), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8, 3)
    )
    wanted = 288 * 3 // 8 + 4 + 2 * 4 * 8 + 24 + 4 + 12  # weights, scale, norm, last, scale, biases
    assert file_bytes(network, 3) == wanted
    found = file_bytes(codebooks.convert(network, num_centroids=5, kernels=2), 3)
    codes = math.ceil(16 * math.log2(5) / 8) + 5 * 18 * 2
    assert found == codes + 2 * 4 * 8 + 24 + 4 + 12  # the filters' scales fold into the norm


def test_scales_of_channels_are_free_before_a_norm_alone() -> None:
    def network(*layers: nn.Module) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(4, 8, 3, bias=False), *layers, nn.Linear(8, 3, bias=False))

    rule = {
        "select": "first",
        "on": "weight",
        "algorithm": {"kind": "lsq", "num_bits": 4, "granularity": "per_axis:0"},
    }
    for layers, extra in (((nn.BatchNorm2d(8),), -4), ((nn.ReLU(),), 4 * 7)):
        one, many = network(*layers), network(*layers)
        quantize(many, [rule])
        assert file_bytes(many, 4) - file_bytes(one, 4) == extra


def test_numbers_that_are_not_known_are_refused() -> None:
    with pytest.raises(UsageError, match="1: GroupNorm has numbers of its own"):
        file_bytes(nn.Sequential(nn.Conv2d(4, 8, 3), nn.GroupNorm(2, 8)), 4)
