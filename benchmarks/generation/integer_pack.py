"""A pack of ResNet-18 as an integer program: its bytes, its proof and its top-1.

    python -m benchmarks.generation.integer_pack FILE.mlgpack [--images=10000] [--proved=1000]

The pack's codes become the factors of a network, whose inputs of layers then get 8 bits with the
ranges of 1,024 training photos of CIFAR10. Prints the top-1 of that network and of the integer
program on the test photos, the mismatches of NumPy, the fast engine and onnxruntime on the first of
them, and the bytes of `program.qlp`.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.generation.forms import resnet18
from benchmarks.generation.integers import quantized
from experiments.library import load_library, load_problem
from experiments.protocols import InMemory
from experiments.storage import ensure_links
from quantlab.deploy.verification import verify
from quantlab.errors import UsageError
from quantlab.floats.operations import Product
from quantlab.generation.factors import Factors
from quantlab.generation.layers import put_factors
from quantlab.generation.spec import MLGSpec
from quantlab.integer.fast import FastEngine
from quantlab.integer.file import to_bytes
from quantlab.integer.lower import InputSpec, lower
from quantlab.integer.program import Program
from quantlab.packs import Pack, load
from quantlab.packs.weights import GeneratedWeight, Numbers

_SAMPLES, _BATCH = 1024, 250
_LEAST_BITS = 2


def network_of(pack: Pack) -> nn.Module:
    """Return ResNet-18 with the weights of a pack, batch norms within them.

    Raises UsageError for a pack of another network.
    """
    products = {one.layer: one for one in pack.skeleton.operations if isinstance(one, Product)}
    if "conv1" not in products:
        raise UsageError(f"pack: layers {', '.join(products)} given, those of ResNet-18 allowed")
    network = resnet18(products["conv1"].weight.shape[0])
    layers = {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    }
    if layers.keys() != products.keys():
        raise UsageError(f"pack: layers {', '.join(products)} given, {', '.join(layers)} allowed")
    with torch.no_grad():
        for name, layer in layers.items():
            factor, bias = _fill(layer, pack, products[name])
            norm = _norm_of(network, name)
            if isinstance(norm, nn.BatchNorm2d):
                assert norm.running_var is not None
                norm.running_var.fill_(1.0)
                norm.weight.copy_(factor * (1.0 + norm.eps) ** 0.5)
                norm.bias.copy_(bias)
    return network.eval()


def program_of(network: nn.Module) -> tuple[nn.Module, Program]:
    """Return a network with inputs of 8 bits, and its program."""
    library, photos = load_library("CIFAR10", "ResNet"), _photos("train")[0][:_SAMPLES]
    samples = library.preprocess.evaluate(photos)
    quantized(network, samples)
    normalization = library.preprocess.NORMALIZATION
    spec = InputSpec(
        shape=(3, 32, 32), scale=normalization.scale, zero_point=normalization.zero_point
    )
    return network, lower(network, spec, samples)


def top1(
    network: nn.Module, program: Program, photos: Tensor, classes: Tensor
) -> tuple[float, ...]:
    """Return the top-1 in percent of a network and of its program, and how often both agree."""
    engine, preprocess = FastEngine(program), load_library("CIFAR10", "ResNet").preprocess
    (output,) = program.outputs
    counts = np.zeros(3)
    for batch, wanted in zip(
        photos.split(_BATCH), classes.numpy().reshape(-1, _BATCH), strict=True
    ):
        with torch.no_grad():
            theirs = network(preprocess.evaluate(batch)).argmax(1).numpy()
        ours = engine.run({"input": batch.numpy()})[output].argmax(1)
        counts += [(theirs == wanted).sum(), (ours == wanted).sum(), (ours == theirs).sum()]
    return tuple(100.0 * counts / len(photos))


def main() -> None:
    """Print what is said above."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pack", type=Path)
    parser.add_argument("--images", type=int, default=10_000, help="multiple of 250")
    parser.add_argument("--proved", type=int, default=1000)
    options = parser.parse_args()
    network, program = program_of(network_of(load(options.pack)))
    photos, classes = (part[: options.images] for part in _photos("test"))
    theirs, ours, same = top1(network, program, photos, classes)
    print(f"top-1 of {len(photos)} photos: 8-bit inputs {theirs:.2f}, program {ours:.2f}")
    print(f"same class: {same:.2f} %")
    print(f"program.qlp: {len(to_bytes(program)):,} bytes")
    batches = [{"input": part.numpy()} for part in photos[: options.proved].split(50)]
    for comparison in verify(program, batches, ["numpy", "fast", "onnx"]):
        print(f"{comparison.engine}: 0 mismatches in {comparison.num_values:,} values")


def _fill(layer: nn.Module, pack: Pack, product: Product) -> tuple[Tensor, Tensor]:
    """Give a layer its weight; return what each output is multiplied by, and what is added."""
    source = pack.sources.get(product.output)
    outputs = product.weight.shape[0]
    bias = torch.zeros(outputs)
    if product.bias is not None:
        bias = torch.from_numpy(np.asarray(product.bias, np.float32))
    weight = None if source is None else pack.weights[source.name]
    if source is not None and isinstance(weight, GeneratedWeight):
        factors = torch.from_numpy(np.broadcast_to(source.scale * source.ratios, (outputs,)).copy())
        _generate(layer, weight)
        return factors, bias
    dense = product.weight
    if source is not None and weight is not None:
        dense = source.weight(weight, product.weight.shape)
    own = layer.get_parameter("weight")
    own.copy_(torch.from_numpy(dense.copy()).permute(0, 3, 1, 2).reshape(own.shape))
    return torch.ones(outputs), bias


def _generate(layer: nn.Module, weight: GeneratedWeight) -> None:
    """Make a layer generate its weight from codes, in units of 1."""

    def bits(numbers: Numbers | None) -> int:
        if numbers is None:
            return _LEAST_BITS
        low, high = int(numbers.values.min()), int(numbers.values.max())
        return max(_LEAST_BITS, max(high, -low - 1).bit_length() + 1)

    parts = {"basis": weight.basis, "coeff_in": weight.coeff_in, "coeff_out": weight.coeff_out}
    codes = {
        name: None if one is None else torch.from_numpy(one.values.astype(np.float32))
        for name, one in parts.items()
    }
    spec = MLGSpec(
        base_in=0 if weight.coeff_in is None else weight.basis.values.shape[1],
        base_out=0 if weight.coeff_out is None else len(weight.basis.values),
        quantizer="lsq",
        **{f"{name}_bit": bits(one) for name, one in parts.items()},
    )
    units = dict.fromkeys(("basis", "coeff_in", "coeff_out"), torch.ones(()))
    put_factors(layer, spec, Factors(**codes), units)


def _norm_of(network: nn.Module, name: str) -> nn.Module | None:
    """Return what follows a convolution by its name: its batch norm."""
    parent, _, own = name.rpartition(".")
    follower = str(int(own) + 1) if own.isdigit() else own.replace("conv", "bn")
    return network.get_submodule(parent)._modules.get(follower)


def _photos(part: str) -> tuple[Tensor, Tensor]:
    problem = load_problem("CIFAR10")
    ensure_links(problem)
    data = problem.data.load(problem.data_folder, "auto")
    samples = data.train if part == "train" else data.test
    assert isinstance(samples, InMemory)
    return samples.inputs, samples.targets


if __name__ == "__main__":
    main()
