"""The digits network of the benchmarks of sparse C: two convolutions and two fully connected
layers, with normal random weights of which the least are pruned."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from quantlab.algorithms import quantize
from quantlab.algorithms.after_training import calibrate
from quantlab.integer.lower import InputSpec, lower
from quantlab.integer.program import Program

DENSITIES = (0.88, 0.337, 0.0595, 0.48)
A_TENTH = (0.1, 0.1, 0.1, 0.1)
_SHAPE = (1, 16, 16)


def digits(densities: Sequence[float] = DENSITIES) -> nn.Sequential:
    """Return the digits network, pruned. densities: of its layers."""
    torch.manual_seed(0)
    network = nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, 10)),
    ).eval()
    layers = [layer for layer in network if isinstance(layer, nn.Conv2d | nn.Linear)]
    for layer, density in zip(layers, densities, strict=True):
        weight = layer.weight.data.normal_(std=0.1)
        weight[weight.abs() < weight.abs().quantile(1 - density)] = 0
    return network


def samples() -> Tensor:
    """Return images to calibrate on, `[N, 1, 16, 16]`, from 0 to 1."""
    torch.manual_seed(1)
    return torch.randint(256, (16, *_SHAPE), dtype=torch.uint8) / 255


def program_of(network: nn.Sequential, weight_bits: int = 8) -> Program:
    """Return a network in 8 bits."""
    algorithm = {"kind": "ste", "num_bits": 8}
    of_weights = {"kind": "ste", "num_bits": weight_bits}
    weights = {"select": "*", "on": "weight", "algorithm": of_weights}
    inputs = {"select": "!first", "on": "input", "algorithm": algorithm}
    quantize(network, [weights, inputs])
    calibrate(network, [samples()])
    spec = InputSpec(shape=_SHAPE, scale=(1 / 255,), zero_point=(0,))
    return lower(network, spec, samples(), memory_bits=8)
