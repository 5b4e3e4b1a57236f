"""Networks of CIFAR-10, quantized by the rules of their configs, as integer programs."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from experiments.configuration.overrides import parse_override
from experiments.configuration.resolve import resolve
from experiments.configuration.section import validate
from experiments.experiment.assembly import build_network
from experiments.experiment.config import Config
from experiments.library import load_library, load_problem
from problems.images.normalize import CIFAR10, normalize
from quantlab.algorithms.after_training import calibrate
from quantlab.deploy.onnx.exact import exact_model
from quantlab.deploy.onnx.runtime import OnnxEngine
from quantlab.integer.fast import FastEngine
from quantlab.integer.interpreter import run
from quantlab.integer.lower import InputSpec, lower
from quantlab.integer.verify import compare
from tests.quantlab.integer.test_properties import outliving

SHAPE = (3, 32, 32)


def photos(count: int, seed: int) -> torch.Tensor:
    """Smooth made-up photos of all contrasts."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 6, 6, generator=generator)
    fine = torch.nn.functional.interpolate(coarse, SHAPE[1:], mode="bicubic").clamp(0, 1)
    return (255 * fine).to(torch.uint8)


def quantized(topology: str, name: str, settings: Sequence[tuple[str, str]]) -> torch.nn.Module:
    """Return an untrained network as a config describes it, its quantizers not started."""
    overrides = [parse_override(key, value) for key, value in settings]
    document = resolve("CIFAR10", topology, name, overrides)
    problem, library = load_problem("CIFAR10"), load_library("CIFAR10", topology)
    config = validate(Config, document)
    network, _ = build_network(problem, library, config, document, seed=0)
    return network


def settle_batch_norms(network: torch.nn.Module, samples: torch.Tensor) -> None:
    """Give batch norms the statistics of the samples, as training would."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        network.train()(samples)
    network.eval()


def scores(network: torch.nn.Module, images: torch.Tensor) -> NDArray[np.float32]:
    with torch.no_grad():
        found: NDArray[np.float32] = network(images).numpy()
    return found


@pytest.mark.parametrize(
    ("topology", "config", "params"),
    [
        ("MobileNetV2", "lsq_w8a8", {"width": "0.25"}),
        ("MobileNetV3", "lsq_w8a8", {"width": "0.25"}),
        ("DenseNet", "lsq_w8a8", {"depth": "10", "growth": "8"}),
        ("VGG", "twn", {"width": "8"}),
    ],
)
def test_the_same_integers_in_onnxruntime(
    topology: str, config: str, params: Mapping[str, str]
) -> None:
    network = quantized(
        topology, config, [(f"network.params.{name}", value) for name, value in params.items()]
    )
    samples, raw = normalize(photos(64, 1), CIFAR10), photos(2, 2)
    images = normalize(raw, CIFAR10)
    settle_batch_norms(network, samples)
    in_float = scores(network, images)
    calibrate(network, [samples])
    spec = InputSpec(shape=SHAPE, scale=CIFAR10.scale, zero_point=CIFAR10.zero_point)
    program = lower(network, spec, samples)
    engines = {"onnx": OnnxEngine(exact_model(program), num_threads=1)}
    for one in compare(program, engines, [{"input": raw.numpy()}]):
        one.check()
    (output,) = program.outputs
    found = program.reals[output](run(program, {"input": raw.numpy()})[output])
    wanted = scores(network, images)
    # Untrained, 50 layers make a code that differs by one into many. Still the program is nearer to
    # the network that it was lowered from than that one is to the network in float.
    assert np.linalg.norm(found - wanted) < 0.5 * np.linalg.norm(wanted - in_float)


def test_resnet8_keeps_the_networks_bytes_alone() -> None:
    """The first layer takes the pixels themselves, and what outlives a layer has 8 bits."""
    network = quantized("ResNet8", "w8a8", [])
    preprocess = load_library("CIFAR10", "ResNet8").preprocess
    samples, raw = preprocess.evaluate(photos(8, 1)), photos(20, 2)
    settle_batch_norms(network, samples)
    calibrate(network, [samples])
    normalization = preprocess.NORMALIZATION
    spec = InputSpec(shape=SHAPE, scale=normalization.scale, zero_point=normalization.zero_point)
    program = lower(network, spec, samples, memory_bits=8, sum_bits=32)
    assert (program.operations[0].layer, program.operations[0].inputs) == ("conv1", ("input",))
    assert set(outliving(program).values()) == {8}
    assert outliving(program).keys() - {*program.quantizers.values()} == {"flatten"}
    (output,) = program.outputs
    found = program.reals[output](FastEngine(program).run({"input": raw.numpy()})[output])
    wanted = scores(network, preprocess.evaluate(raw))
    assert np.abs(found - wanted).max() < 0.03 * np.abs(wanted).max()
