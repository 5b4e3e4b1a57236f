"""The programs of the benchmarks: deterministic, and read from a folder where they lie."""

from pathlib import Path

import pytest
import torch

from benchmarks.database.programs import (
    NETWORKS,
    float_network,
    program_of,
    random_program,
    smooth_images,
    weights_of,
)
from problems.MNIST.preprocess import evaluate
from quantlab.errors import UsageError
from quantlab.integer.file import to_bytes
from quantlab.integer.operations import Convolution, Linear


def test_random_programs_are_kept_and_always_the_same(tmp_path: Path) -> None:
    made = to_bytes(program_of("LeNet-binary", tmp_path))
    torch.rand(1)
    assert to_bytes(random_program("LeNet-binary")) == made
    assert (tmp_path / "LeNet-binary.random.qlp").read_bytes() == made
    assert weights_of("LeNet-binary", tmp_path) == "random"


def test_a_trained_program_is_taken(tmp_path: Path) -> None:
    trained = to_bytes(random_program("LeNet-W4A4"))
    (tmp_path / "LeNet-W4A4.qlp").write_bytes(trained)
    assert to_bytes(program_of("LeNet-W4A4", tmp_path)) == trained
    assert weights_of("LeNet-W4A4", tmp_path) == "trained"
    assert [path.name for path in tmp_path.iterdir()] == ["LeNet-W4A4.qlp"]


def test_an_unknown_network_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'LeNet-binry' given, .* did you mean 'LeNet-binary'"):
        program_of("LeNet-binry", tmp_path)


def test_all_layers_of_the_binary_cnn_are_binary() -> None:
    program = random_program("BinaryCNN")
    layers = [one for one in program.operations if isinstance(one, Convolution | Linear)]
    assert [layer.weight_bits for layer in layers] == [1] * 4
    assert all(program.bounds[layer.inputs[0]].high == 1 for layer in layers)


def test_the_float_network_has_no_batch_norm() -> None:
    network = float_network("BinaryCNN")
    assert not [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    with torch.inference_mode():
        scores = network(evaluate(smooth_images(3, (1, 28, 28), seed=2)))
    assert scores.shape == (3, 10)
    assert scores.std() > 0


@pytest.mark.long
@pytest.mark.parametrize("name", [n for n, one in NETWORKS.items() if one.problem != "ImageNet"])
def test_programs_take_the_images_of_their_problem(name: str) -> None:
    (given,) = random_program(name).inputs.values()
    assert given.shape == NETWORKS[name].shape
