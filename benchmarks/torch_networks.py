"""The networks of MLPerf Tiny in torch, as integer programs of random weights.

What a program costs, bytes and instructions, is a matter of its shapes: these programs cost what
trained ones do. `benchmarks.reference_networks` has trained ones, as files of TFLite.

Weights, activations, sums of residuals and means have 8 bits each.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from benchmarks.autoencoder import NUM_FEATURES, Autoencoder
from benchmarks.mobilenet_v1 import MobileNetV1
from problems.CIFAR10.ResNet8.network import ResNet
from problems.SpokenDigits.DSCNN.network import DSCNN
from quantlab.algorithms import quantize
from quantlab.algorithms.after_training import calibrate
from quantlab.integer.lower import InputSpec, lower
from quantlab.integer.program import Program

_NUM_SAMPLES = 16
_SCALE, _ZERO_POINT = 1 / 64, 128  # of the input: numbers from -2 to 2


@dataclass(frozen=True, kw_only=True)
class Network:
    """shape: of the input, without the batch. values: selects the layers without weights whose
    outputs are quantized."""

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    values: str


NETWORKS: Mapping[str, Network] = {
    "DS-CNN": Network(
        make=lambda: DSCNN(num_classes=12), shape=(1, 49, 10), values="type:ReLU | avgpool"
    ),
    "ResNet-8": Network(
        make=lambda: ResNet(depth=8), shape=(3, 32, 32), values="type:ReLU | *.bn2 | avgpool"
    ),
    "MobileNetV1": Network(make=MobileNetV1, shape=(3, 96, 96), values="type:ReLU | avgpool"),
    "autoencoder": Network(make=Autoencoder, shape=(NUM_FEATURES,), values="type:ReLU | last"),
}


def program_of(name: str, seed: int = 0) -> Program:
    """Return the program of a network, its weights drawn with a seed."""
    chosen = NETWORKS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = chosen.make()
        codes = torch.randint(256, (_NUM_SAMPLES, *chosen.shape))
    samples = (codes - _ZERO_POINT) * _SCALE
    _settle(network, samples)
    algorithm = {"kind": "ste", "num_bits": 8}
    weights = {"select": "*", "on": "weight", "algorithm": algorithm}
    values = {"select": chosen.values, "on": "output", "algorithm": algorithm}
    quantize(network, [weights, values])
    calibrate(network, [samples])
    channels = chosen.shape[0] if len(chosen.shape) == 3 else 1
    spec = InputSpec(
        shape=chosen.shape, scale=(_SCALE,) * channels, zero_point=(_ZERO_POINT,) * channels
    )
    return lower(network, spec, samples, memory_bits=8, sum_bits=32)


def _settle(network: nn.Module, samples: torch.Tensor) -> None:
    """Give batch norms the statistics of the samples, as training would."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        network.train()(samples)
    network.eval()
