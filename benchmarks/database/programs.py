"""The networks that are measured, as integer programs: always the same ones.

A program is read from a folder where a trained one lies (`<name>.qlp`, the program.qlp of `main.py
verify`), or made of random weights and kept there (`<name>.random.qlp`): those of photos take
minutes to make. Random weights cost as much as trained ones, and are as hard to compute exactly.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from experiments.configuration.documents import Document
from experiments.configuration.resolve import resolve
from experiments.configuration.section import validate
from experiments.experiment.assembly import build_network
from experiments.experiment.config import Config
from experiments.library import Library, load_library, load_problem
from problems.images.normalize import Normalization
from quantlab.algorithms.after_training import calibrate
from quantlab.errors import UsageError, did_you_mean
from quantlab.files import write_atomically
from quantlab.graphs.fold_batch_norm import fold_batch_norm
from quantlab.graphs.trace import trace
from quantlab.integer.file import from_bytes, to_bytes
from quantlab.integer.lower import InputSpec, lower
from quantlab.integer.program import Program

_SEED = 0


@dataclass(frozen=True, kw_only=True)
class Network:
    """A config of a topology. shape: of an image. num_samples: on which random weights are
    calibrated."""

    problem: str
    topology: str
    config: str
    shape: tuple[int, int, int]
    num_samples: int = 16

    @property
    def library(self) -> Library:
        return load_library(self.problem, self.topology)


_DIGIT, _SMALL, _PHOTO = (1, 28, 28), (3, 32, 32), (3, 224, 224)

NETWORKS: Mapping[str, Network] = {
    "LeNet-binary": Network(problem="MNIST", topology="LeNet", config="binary", shape=_DIGIT),
    "LeNet-TWN": Network(problem="MNIST", topology="LeNet", config="twn", shape=_DIGIT),
    "LeNet-W4A4": Network(problem="MNIST", topology="LeNet", config="w4a4", shape=_DIGIT),
    "BinaryCNN": Network(problem="MNIST", topology="BinaryCNN", config="binary", shape=_DIGIT),
    "VGG-11-binary": Network(problem="CIFAR10", topology="VGG", config="binary", shape=_SMALL),
    "ResNet-18-binary": Network(
        problem="CIFAR10", topology="ResNet", config="binary", shape=_SMALL
    ),
    "ResNet-18-W8A8": Network(
        problem="CIFAR10", topology="ResNet", config="lsq_w8a8", shape=_SMALL
    ),
    "AlexNet-binary": Network(
        problem="ImageNet", topology="AlexNet", config="binary", shape=_PHOTO, num_samples=2
    ),
    "VGG-16-binary": Network(
        problem="ImageNet", topology="VGG", config="binary", shape=_PHOTO, num_samples=2
    ),
}


def network_named(name: str) -> Network:
    """Return a network. Raises UsageError with the nearest name."""
    if name not in NETWORKS:
        hint = did_you_mean(name, NETWORKS)
        raise UsageError(f"network: {name!r} given, allowed: {', '.join(NETWORKS)}{hint}")
    return NETWORKS[name]


def program_of(name: str, folder: Path) -> Program:
    """Return the program of a network: the folder's trained one, if it has one, or one of random
    weights, which is kept there."""
    network_named(name)
    path = folder / f"{name}.qlp"
    if not path.exists():
        path = folder / f"{name}.random.qlp"
    if not path.exists():
        program = random_program(name)
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, to_bytes(program))
        return program
    return from_bytes(path.read_bytes(), str(path))


def weights_of(name: str, folder: Path) -> str:
    """Return which weights the program of a network has."""
    return "trained" if (folder / f"{name}.qlp").exists() else "random"


def random_program(name: str) -> Program:
    """Return a network of random weights, calibrated on made-up images, as a program."""
    chosen = network_named(name)
    preprocess: Any = chosen.library.preprocess
    network = _network(chosen, is_float=False)
    samples = preprocess.evaluate(smooth_images(chosen.num_samples, chosen.shape, seed=_SEED))
    _settle(network, samples)
    calibrate(network, [samples])
    normalization: Normalization = preprocess.NORMALIZATION
    spec = InputSpec(
        shape=chosen.shape, scale=normalization.scale, zero_point=normalization.zero_point
    )
    return lower(network, spec, samples)


def float_network(name: str) -> nn.Module:
    """Return the network in float32 with random weights, its batch norms folded."""
    chosen = network_named(name)
    samples = chosen.library.preprocess.evaluate(smooth_images(2, chosen.shape, seed=_SEED))
    network = _network(chosen, is_float=True)
    _settle(network, samples)
    traced = trace(network, samples)
    fold_batch_norm(traced)
    return traced.eval()


def smooth_images(count: int, shape: tuple[int, int, int], seed: int) -> Tensor:
    """Return made-up images `[count, *shape]`, uint8, of all contrasts."""
    channels, height, width = shape
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(
        count, channels, math.ceil(height / 5), math.ceil(width / 5), generator=generator
    )
    fine = nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)
    return (255 * fine).to(torch.uint8)


def _network(chosen: Network, *, is_float: bool) -> nn.Module:
    """Return an untrained network as its config describes it, without quantizers if in float."""
    document = resolve(chosen.problem, chosen.topology, chosen.config, [])
    if is_float:
        document = Document(
            values={key: value for key, value in document.values.items() if key != "quantize"}
        )
    with torch.random.fork_rng(devices=[]):
        network, _ = build_network(
            load_problem(chosen.problem),
            chosen.library,
            validate(Config, document),
            document,
            seed=_SEED,
        )
    return network.eval()


def _settle(network: nn.Module, samples: Tensor) -> None:
    """Give batch norms the statistics of the samples, as training would."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        network.train()(samples)
    network.eval()
