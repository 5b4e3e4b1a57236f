"""Networks of few bits on emulated microcontrollers: their weights as bits, and as bytes.

LeNet of `problems/MNIST` with the rules of its configs: binary weights and activations of one bit,
ternary weights and weights of 4 bits with activations of 4 bits. Its weights are random, its
activations calibrated on random pixels: the figures depend on neither but for the searches in
thresholds. All sides are the same program: `dense` has a byte for each weight, `bits1`, `bits2` and
`bits4` have their bits in all layers that become smaller, `auto` in those that it chooses.

flash, arena, stack, instructions: as in `benchmarks.microcontrollers`. Row.ratio: instructions of
the dense form / own instructions.

`python -m tests.benchmarks.few_bits_figures` puts the table into docs/c.md.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.boards import cost, sources_of
from benchmarks.harness import Row, report
from experiments.configuration.documents import read_document
from problems.images.normalize import MNIST, normalize
from problems.MNIST.LeNet import network
from quantlab.algorithms import QuantizeConfig, quantize
from quantlab.algorithms.after_training import calibrate
from quantlab.deploy.c.boards.table import BOARDS
from quantlab.deploy.c.kernels.table import AUTO, DENSE
from quantlab.integer.lower import InputSpec, lower
from quantlab.integer.program import Program

CONFIGS = {"binary": "bits1", "twn": "bits2", "w4a4": "bits4"}
ENGINES = ("c-m3", "c-m4")
_SHAPE = (1, 28, 28)


def program_of(config: str) -> Program:
    """Return LeNet with the rules of a config, its weights random."""
    torch.manual_seed(0)
    path = Path(str(network.__file__)).parent / "configs" / f"{config}.yaml"
    rules = read_document(path).values["quantize"]["rules"]
    lenet = network.LeNet().eval()
    quantize(lenet, QuantizeConfig.model_validate({"rules": rules}).rules)
    samples = normalize(torch.randint(256, (64, *_SHAPE), dtype=torch.uint8), MNIST)
    calibrate(lenet, [samples])
    spec = InputSpec(shape=_SHAPE, scale=MNIST.scale, zero_point=MNIST.zero_point)
    return lower(lenet, spec, samples)


def rows_of(config: str) -> Iterator[Row]:
    """Yield the rows of a config, on each board."""
    program = program_of(config)
    for engine in ENGINES:
        board = BOARDS[engine]
        most = 0
        for encoding in (DENSE, AUTO, CONFIGS[config]):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                cost(board, sources_of(program, folder / "test", encoding=encoding, is_test=True))
                sources = sources_of(program, folder / "model", encoding=encoding)
                found = cost(board, sources)
            most = most or found.instructions
            yield Row(
                figures={
                    "network": f"LeNet {config}",
                    "core": board.core,
                    "encoding": encoding,
                    "flash_bytes": found.flash_bytes,
                    "arena_bytes": sources.arena_bytes,
                    "stack_bytes": found.stack_bytes,
                    "instructions": found.instructions,
                },
                peer=DENSE,
                ratio=most / found.instructions,
            )


def main() -> None:
    report("few_bits", [row for config in CONFIGS for row in rows_of(config)])


if __name__ == "__main__":
    main()
