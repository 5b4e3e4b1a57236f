"""Networks that were trained: the same integers in the interpreter, from a file, in onnxruntime."""

import numpy as np
import pytest
import torch

from problems.images.normalize import CIFAR10, MNIST, Normalization, normalize
from quantlab.algorithms.layers import carries
from quantlab.deploy.onnx.exact import exact_model
from quantlab.deploy.onnx.runtime import OnnxEngine
from quantlab.integer.file import from_bytes, to_bytes
from quantlab.integer.interpreter import execute, run
from quantlab.integer.lower import InputSpec, lower
from quantlab.integer.verify import Interpreter, compare
from tests.models import stored


def photos(count: int, shape: tuple[int, int, int], seed: int) -> torch.Tensor:
    """Smooth made-up photos of all contrasts."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, shape[0], 6, 6, generator=generator)
    fine = torch.nn.functional.interpolate(coarse, shape[1:], mode="bicubic").clamp(0, 1)
    return (255 * fine).to(torch.uint8)


@pytest.mark.parametrize(
    ("name", "shape", "normalization"),
    [("lenet_w4a4", (1, 28, 28), MNIST), ("resnet20_w4a4", (3, 32, 32), CIFAR10)],
)
def test_the_same_integers_everywhere(
    name: str, shape: tuple[int, int, int], normalization: Normalization
) -> None:
    network = stored.network(name)
    spec = InputSpec(shape=shape, scale=normalization.scale, zero_point=normalization.zero_point)
    program = lower(network, spec, normalize(photos(64, shape, 1), normalization))
    raw = photos(40, shape, 2)
    engines = {
        "onnx": OnnxEngine(exact_model(program), num_threads=1),
        "file": Interpreter(from_bytes(to_bytes(program), name)),
    }
    for one in compare(program, engines, [{"input": raw.numpy()}]):
        one.check()
    (output,) = program.outputs
    scores = program.reals[output](run(program, {"input": raw.numpy()})[output])
    first = next(name for name, m in network.named_modules() if "input" in carries(m))
    seen: list[torch.Tensor] = []
    layer = network.double().get_submodule(first)
    quantizer = carries(layer)["input"]
    layer.register_forward_pre_hook(lambda _, inputs: seen.append(quantizer.codes(inputs[0])))
    with torch.no_grad():
        wanted = network(normalize(raw, normalization).double()).numpy()
    (operation,) = [o for o in program.operations if o.layer == first and o.constants()]
    codes = dict(execute(program, {"input": raw.numpy()}))[operation.inputs[0]]
    assert (codes != seen[0].numpy()).mean() < 5e-4
    # From there on each code that differs, by one of 16 levels, makes others differ: twice as many
    # in each layer of a ResNet.
    assert np.corrcoef(scores.ravel(), wanted.ravel())[0, 1] > 0.98
