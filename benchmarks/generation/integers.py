"""ResNet-18 of generated weights as an integer program, beside the dense one of 8 bits.

    python -m benchmarks.generation.integers

Both run on `FastEngine`, with inputs of 8 bits, weights of 8 bits or factors of 3, 6 and 3, all
random. They take turns. Prints the bytes of both program files too.
"""

from collections.abc import Iterator
from functools import cache, partial

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.generation.forms import resnet18
from benchmarks.harness import Row, interleaved, markdown
from quantlab import backend
from quantlab.algorithms import quantize
from quantlab.algorithms.after_training import calibrate
from quantlab.generation import convert
from quantlab.generation.layers import generated_layers
from quantlab.graphs.select import quantizable_layers
from quantlab.integer.fast import FastEngine
from quantlab.integer.file import to_bytes
from quantlab.integer.interpreter import run
from quantlab.integer.lower import InputSpec, lower
from quantlab.integer.operations import Convolution, Linear
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S16

DENSE, FACTORS = "dense int8", "int8 factors"
SPEC = InputSpec(shape=(3, 32, 32), scale=(1 / 63.0,) * 3, zero_point=(121,) * 3)
_ALGORITHM = {"kind": "ste", "num_bits": 8}
_SAMPLES = 32
_PEAK_REPEATS = 1_000_000


def quantized(network: nn.Module, samples: Tensor) -> nn.Module:
    """Give a trained network weights of 8 bits, but for those that are generated, and inputs of 8
    bits with the ranges of samples; return it."""
    generated = {name for name, _ in generated_layers(network)}
    dense = [name for name in quantizable_layers(network) if name not in generated]
    rules = [{"select": name, "on": "weight", "algorithm": _ALGORITHM} for name in dense]
    quantize(network, [*rules, {"select": "!first", "on": "input", "algorithm": _ALGORITHM}])
    calibrate(network.eval(), [samples])
    return network


@cache
def program(side: str) -> Program:
    """Return the program of a side; batch norms have statistics of random images."""
    torch.manual_seed(0)
    network = resnet18()
    if side == FACTORS:
        convert(network, {"base_in": 2, "base_out": 44})
    samples = (pixels(_SAMPLES).float() - SPEC.zero_point[0]) * SPEC.scale[0]
    with torch.no_grad():
        network.train()(samples)
    return lower(quantized(network, samples), SPEC, samples)


def pixels(count: int) -> Tensor:
    """Return random images."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (count, *SPEC.shape), dtype=torch.uint8, generator=generator)


def weight_bytes(given: Program) -> int:
    """Return the bytes of weights that a run reads: those behind words are words too."""
    return sum(
        layer.weight.size * (2 if given.types[layer.inputs[0]].kind == S16 else 1)
        for layer in given.operations
        if isinstance(layer, Convolution | Linear)
    )


def products(given: Program) -> int:
    """Return the multiplications of one image."""
    return sum(
        layer.weight[0].size * int(np.prod(given.types[layer.output].shape))
        for layer in given.operations
        if isinstance(layer, Convolution | Linear)
    )


def integer_rows(num_threads: int, batch: int, repeats: int) -> Iterator[Row]:
    """Yield the comparison of both programs. roof: multiplications over those of bytes that the
    processor does in registers in the time."""
    torch.set_num_threads(num_threads)
    inputs = {"input": pixels(batch).numpy()}
    engines = {side: FastEngine(program(side)) for side in (DENSE, FACTORS)}
    for side, engine in engines.items():
        _check(program(side), engine)
    sides = {side: partial(engine.run, inputs) for side, engine in engines.items()}
    timed = interleaved(sides, repeats, seconds=0.05)
    for side, timing in timed.items():
        figures = {
            "what": "network",
            "side": side,
            "threads": num_threads,
            "images": batch,
            "ms_an_image": timing.seconds / batch * 1e3,
            "roof": products(program(side)) * batch / timing.seconds / (num_threads * peak()),
            "weight_bytes": weight_bytes(program(side)),
        }
        yield Row(figures=figures, peer=DENSE, ratio=timing.ratio)


@cache
def peak() -> float:
    """Return the products of bytes a second that one thread does in registers."""
    call = {"peak": lambda: backend.peak(_PEAK_REPEATS)}
    return backend.peak(_PEAK_REPEATS) / interleaved(call, 9)["peak"].fastest


def _check(given: Program, engine: FastEngine) -> None:
    """Raise ValueError unless an engine gives the integers of the interpreter."""
    inputs = {"input": pixels(1).numpy()}
    expected, found = run(given, inputs), engine.run(inputs)
    if not all(np.array_equal(values, found[name]) for name, values in expected.items()):
        raise ValueError("FastEngine: other integers than the interpreter's")


def main() -> None:
    """Print the rows on one thread and on two, and the bytes of the files."""
    rows = [row for batch in (1, 64) for n in (1, 2) for row in integer_rows(n, batch, 9)]
    print(markdown(rows))
    for side in (DENSE, FACTORS):
        print(f"{side}: program.qlp of {len(to_bytes(program(side))):,} bytes")


if __name__ == "__main__":
    main()
