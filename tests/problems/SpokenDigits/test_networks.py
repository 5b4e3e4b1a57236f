"""DS-CNN against its published size."""

import torch
from torch import nn

from problems.SpokenDigits.DSCNN.network import DSCNN


def test_dscnn_has_the_size_of_mlperf_tinys() -> None:
    """Of 12 classes; tests/benchmarks/test_torch_networks.py compares all layers with its file."""
    layers = [m for m in DSCNN(num_classes=12).modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert sum(layer.weight.numel() for layer in layers) == 22_016
    assert [m.in_channels for m in layers if isinstance(m, nn.Conv2d)] == [1, *[64] * 8]


def test_a_second_becomes_25_x_5_places() -> None:
    network = DSCNN(channels=4).eval()
    x_NCTK = torch.zeros(2, 1, 49, 10)
    assert network.blocks(network.stem(x_NCTK)).shape == (2, 4, 25, 5)
    assert network(x_NCTK).shape == (2, 10)
