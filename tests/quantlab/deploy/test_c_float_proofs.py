"""C of floats at the ends of their range: denormals, zeros of both signs, overflow, and NaN.

Weights are dense: sparse rows leave out what is zero times infinity.
"""

import re
import subprocess
from pathlib import Path
from shutil import which

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from quantlab.deploy.c.boards.emulator import run as emulate
from quantlab.deploy.c.boards.program import compiled
from quantlab.deploy.c.boards.table import BOARDS
from quantlab.deploy.c.floats.model import float_c_model
from quantlab.deploy.c.runtime_files import RUNTIME
from quantlab.deploy.c.traced import laid_out
from quantlab.deploy.folder import write_files
from quantlab.floats.interpreter import run
from quantlab.floats.lower import lower
from quantlab.floats.program import FloatProgram
from tests.quantlab.deploy.boards import engine
from tests.quantlab.deploy.c_caller import COMPILERS, SANITIZERS, CalledModel
from tests.quantlab.deploy.float_models import in_shape
from tests.quantlab.deploy.float_networks import (
    ACTIVATIONS,
    NETWORKS,
    Calls,
    Shape,
    random_layers,
    settled,
)

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")
SPECIAL = (
    *(0.0, -0.0, 1e-45, -1e-45, 1e-39, -1e-39, 1.17549435e-38, 3.4e38, -3.4e38, 1e30, -1e30),
    *(87.5, 88.5, -86.5, -88.5, 104.0, -104.0, 0.5, -0.5, 1.0, -1.0, 2.0**24),
)


def ends(shape: Shape) -> NDArray[np.float32]:
    """Return samples of numbers at the ends, of all sizes, denormal ones, zeros and the largest."""
    random = np.random.default_rng(0)
    sizes = random.standard_normal(shape) * 10.0 ** random.integers(-45, 38, shape)
    samples = [
        random.choice(SPECIAL, shape),
        sizes,
        random.standard_normal(shape) * 1e-38,
        np.where(random.random(shape) < 0.1, random.choice(SPECIAL, shape), sizes / 1e30),
        np.full(shape, -0.0),
        np.full(shape, 3.4e38),
    ]
    return np.stack(samples).astype(np.float32)


SEEDS = {f"random {seed}": seed for seed in range(20, 30)}
NAMES = (
    *("softmax along rows", "a global average", "a gate", "a quotient", "batch norms of rows"),
    *("pooling that hangs over", "another divisor", "depthwise"),
    *ACTIVATIONS,
    *SEEDS,
)
LEVELS = [COMPILERS[name] for name in ("gcc -O0", "gcc -O3", "clang -O0", "clang -O3")]
SOME = ("c-m3", "c-m7", "c-m55", "c-rv32")  # with a floating-point unit and without


def network_of(name: str) -> tuple[nn.Module, Shape]:
    """Return a network and the shape of its input."""
    if name in SEEDS:
        return random_layers(SEEDS[name])
    if name in ACTIVATIONS:
        return settled(Calls(lambda x, layer: layer(x), ACTIVATIONS[name])), (3, 5, 20)
    make, shape = NETWORKS[name]
    return settled(make()), shape


def program_of(name: str) -> tuple[FloatProgram, NDArray[np.float32]]:
    """Return a network lowered, and its samples."""
    network, shape = network_of(name)
    generator = torch.Generator().manual_seed(0)
    return lower(network, torch.randn(2, *shape, generator=generator)), ends(shape)


def check_same(found: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    """Check that all bits are the same; those of NaN are the processor's own."""
    is_nan = np.isnan(expected)
    assert (np.isnan(found) == is_nan).all()
    bits = [np.ascontiguousarray(one).view(np.uint32) for one in (found, expected)]
    assert (bits[0][~is_nan] == bits[1][~is_nan]).all()


def check_here(name: str, command: list[str], folder: Path) -> None:
    program, samples = program_of(name)
    expected = run(program, {"input": samples})
    model = CalledModel(program, float_c_model(program, "dense").files, folder, command)
    for number, called in enumerate(model.run({"input": samples})):
        for output, found in called.outputs.items():
            check_same(found, expected[output][number])


@pytest.mark.parametrize("command", [COMPILERS["gcc -O0"]])
def test_nan_of_overflow_goes_through_a_softmax(command: list[str], tmp_path: Path) -> None:
    check_here(
        "softmax along channels",
        [*command, "-fsanitize=float-cast-overflow", "-fno-sanitize-recover=all"],
        tmp_path,
    )


@pytest.mark.long
@pytest.mark.parametrize("command", [*LEVELS, *SANITIZERS.values()])
@pytest.mark.parametrize("name", NAMES)
def test_compilers_give_the_same_bits(name: str, command: list[str], tmp_path: Path) -> None:
    check_here(name, command, tmp_path)


TO_HELIUM = {
    "arm-none-eabi-gcc": ["arm-none-eabi-gcc"],
    "clang": ["clang", "--target=arm-none-eabi", "-isystem", "/usr/lib/arm-none-eabi/include"],
}


@pytest.mark.long
@pytest.mark.parametrize("name", [engine("c-m55")])  # has the compiler, and C's headers
@pytest.mark.parametrize("level", ["-O2", "-O3"])
@pytest.mark.parametrize("compiler", TO_HELIUM)
def test_no_vectors_of_floats_take_denormals_for_zeros(
    compiler: str, level: str, name: str, tmp_path: Path
) -> None:
    if which(compiler) is None:
        pytest.skip(f"no C compiler: {compiler}")
    settings = [*BOARDS[name].flags, "-std=c99", level, "-S", "-o", str(tmp_path / "a.s")]
    for source in [*RUNTIME.glob("float_*.c"), *RUNTIME.glob("scalar_*.c")]:
        subprocess.run([*TO_HELIUM[compiler], *settings, str(source)], check=True)
        found = re.findall(r"\sv\w+\.f32\s+q\d.*", (tmp_path / "a.s").read_text())
        assert found == [], source.name


@pytest.mark.long
@pytest.mark.parametrize("board", [engine(name) for name in SOME])
@pytest.mark.parametrize("name", NAMES)
def test_boards_give_the_same_bits(name: str, board: str, tmp_path: Path) -> None:
    program, samples = program_of(name)
    expected = run(program, {"input": samples})
    write_files(float_c_model(program, "dense").files, tmp_path)
    row, (output,) = BOARDS[board], expected
    sources = ["trace.c", "verify.c"]
    elf = compiled(row, tmp_path, ["input"], [output], sources, ["-DQL_TRACE"])
    given = np.uint32(len(samples)).tobytes() + laid_out(samples).tobytes()
    (outputs,) = emulate(row, elf, {"inputs": given}, ["outputs"], 300)
    size = len(outputs) // len(samples)
    for number, wanted in enumerate(expected[output]):
        data = outputs[number * size : (number + 1) * size]
        check_same(in_shape(data, wanted.shape), wanted)
