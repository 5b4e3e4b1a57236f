"""Networks in torch beside the reference files of MLPerf Tiny: the same layers, the same costs."""

import importlib.util
from collections.abc import Iterator
from math import prod
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from benchmarks.reference_networks import NETWORKS as FILES
from benchmarks.torch_networks import NETWORKS, program_of
from quantlab.integer.operations import Convolution, Linear
from quantlab.integer.program import Program
from tests.quantlab.integer.test_properties import outliving

OFFICIAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "tinyml"
# Weights, and multiplications and additions.
COSTS = {
    "DS-CNN": (22_016, 2_656_768),
    "ResNet-8": (77_360, 12_501_632),
    "MobileNetV1": (208_112, 7_489_664),
    "autoencoder": (264_192, 264_192),
}

Shape = tuple[int, ...]
Layer = tuple[Shape, Shape]  # of the weights, of the output


def layers_of(network: nn.Module, shape: Shape) -> list[Layer]:
    """Return the layers with weights in the order in which they are called."""
    found: list[Layer] = []

    def note(layer: nn.Module, _: object, output: Tensor) -> None:
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        found.append((tuple(layer.weight.shape), tuple(output.shape[1:])))

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(note)
    with torch.no_grad():
        network.eval()(torch.zeros(1, *shape))
    return found


def layers_of_program(program: Program) -> Iterator[Layer]:
    for operation in program.operations:
        if isinstance(operation, Convolution | Linear):
            yield operation.weight.shape, program.types[operation.output].shape


def test_all_have_a_network() -> None:
    assert NETWORKS.keys() == FILES.keys() == COSTS.keys()


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_cost_what_they_are_known_to_cost(name: str) -> None:
    layers = layers_of(NETWORKS[name].make(), NETWORKS[name].shape)
    num_weights = sum(prod(weight) for weight, _ in layers)
    num_macs = sum(prod(weight) * prod(output[1:]) for weight, output in layers)
    assert (num_weights, num_macs) == COSTS[name]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.skipif(not OFFICIAL.is_dir(), reason=f"needs the files of MLPerf Tiny in {OFFICIAL}")
@pytest.mark.skipif(
    importlib.util.find_spec("ai_edge_litert") is None,
    reason="ai_edge_litert is not installed: pip install .[bench]",
)
def test_layers_are_those_of_the_file(name: str) -> None:
    from benchmarks.tflite import read

    program = read(OFFICIAL / FILES[name]).program
    ours = layers_of(NETWORKS[name].make(), NETWORKS[name].shape)
    assert sorted(ours) == sorted(layers_of_program(program))
    (kind,) = program.inputs.values()
    assert kind.shape == NETWORKS[name].shape


@pytest.mark.parametrize("name", NETWORKS)
def test_programs_keep_bytes_alone(name: str) -> None:
    program = program_of(name)
    assert set(outliving(program).values()) == {8}
    assert program.operations[0].inputs == tuple(program.inputs)
    num_weights = sum(prod(weight) for weight, _ in layers_of_program(program))
    assert num_weights == COSTS[name][0]
    (output,) = program.outputs
    has_scores = name != "autoencoder"  # whose output is its input again
    assert program.types[output].kind.num_bits == (32 if has_scores else 8)
