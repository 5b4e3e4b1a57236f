"""What a pack of ResNet-18 takes beside its codes and floats."""

import pytest
import torch

from problems.CIFAR10.ResNet.network import ResNet
from quantlab.errors import UsageError
from quantlab.generation import MLGSpec
from quantlab.generation.layers import checked_shapes, make_generated
from quantlab.generation.storage_report import storage_report
from quantlab.packs import from_bytes, make_pack, pack_sizes, to_bytes
from quantlab.packs.sizes import OVERHEAD


@pytest.mark.parametrize("width", [16, pytest.param(64, marks=pytest.mark.long)])
def test_overhead_of_resnet18(width: int) -> None:
    network, spec = ResNet(depth=18, width=width).eval(), MLGSpec(base_out=width // 2)
    for module in list(network.modules()):
        if isinstance(module, torch.nn.Conv2d):
            try:
                checked_shapes(module, spec)
            except UsageError:
                continue
            make_generated(module, spec)
    images = torch.randn(2, 3, 32, 32)
    data = to_bytes(make_pack(network, images))
    sizes = pack_sizes(data)
    assert sum(size.nbytes for size in sizes) == len(data)
    report = storage_report(network).with_file(len(data))
    assert report.file_bytes == sum(size.nbytes for size in sizes)
    assert sizes[-1].part == OVERHEAD
    assert sizes[-1].nbytes <= 3000
    expected = network(images).detach().numpy()
    scores = from_bytes(data, "x").scores(images.numpy())
    assert abs(scores - expected).max() < 1e-5 * abs(expected).max()
