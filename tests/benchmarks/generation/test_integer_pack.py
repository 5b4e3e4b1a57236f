"""A pack's codes as the factors of a network."""

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.generation.forms import resnet18
from benchmarks.generation.integer_pack import network_of
from quantlab.errors import UsageError
from quantlab.generation import convert
from quantlab.generation.layers import generated_layers
from quantlab.packs import make_pack


def test_the_network_has_the_packs_codes_and_scores() -> None:
    torch.manual_seed(0)
    network = resnet18(8)
    convert(network, {"base_in": 2, "base_out": 4})
    images = torch.randn(4, 3, 32, 32)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.2)
            nn.init.normal_(module.bias)
    network.train()(images)
    pack = make_pack(network.eval(), images)
    made = network_of(pack)
    layers = dict(generated_layers(made))
    assert layers.keys() == pack.weights.keys()
    for name, weight in pack.weights.items():
        for part, numbers in weight.parts.items():
            quantizer = getattr(layers[name], f"{part}_quantizer")
            codes = quantizer.codes(getattr(layers[name], part)).numpy()
            np.testing.assert_array_equal(codes, numbers.values)
    with torch.no_grad():
        expected, scores = network(images).numpy(), made(images).numpy()
    np.testing.assert_allclose(scores, expected, atol=1e-4 * abs(expected).max())


def test_another_network_is_named() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 2)).eval()
    with pytest.raises(UsageError, match="pack: layers 1 given, those of ResNet-18 allowed"):
        network_of(make_pack(network, torch.zeros(1, 3, 2, 2)))
