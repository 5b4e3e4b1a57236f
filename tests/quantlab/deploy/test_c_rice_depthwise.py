"""Depthwise layers with weights in Rice codes: read into the arena, here and on boards."""

from pathlib import Path
from shutil import which

import numpy as np
import pytest

from quantlab.deploy.c.artefact import host, on_board
from quantlab.deploy.c.boards.table import BOARDS
from quantlab.deploy.c.kernels.choice import factors_of
from quantlab.deploy.c.kernels.table import KERNELS
from quantlab.deploy.c.model import c_model
from quantlab.integer.operations import Convolution, Windows
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S8, S16, U8, IntegerType, TensorType
from tests.quantlab.deploy.boards import engine
from tests.quantlab.deploy.sanitizers import check_sanitized, each_compiler
from tests.quantlab.deploy.test_c_sparse import check, codes, samples, sparse, weights_of, written

needs_compiler = pytest.mark.skipif(which("cc") is None, reason="no C compiler: cc")
KINDS = (U8, S8, S16)
DENSITIES = (0, 0.1, 0.5, 1)
RICE = {"sums": "rice"}


def layer(
    kind: IntegerType,
    density: float,
    channels: int = 20,
    kernel: tuple[int, int] = (3, 3),
    padding_code: int = 0,
) -> Program:
    """Return a depthwise layer and its codes."""
    random = np.random.default_rng(channels)
    convolution = Convolution(
        inputs=("x",), output="sums", weight_bits=4, groups=channels,
        weight=sparse(random, (channels, 1, *kernel), density) // 16,
        windows=Windows(kernel=kernel, padding=(1, 0, 1, 1), stride=(1, 2)),
        bias=random.integers(-999, 999, channels, np.int32),
        padding_codes=np.full(channels, padding_code, np.int32),
    )  # fmt: skip
    types = {"x": TensorType((channels, 6, 7), kind)}
    return Program(inputs=types, operations=(convolution, codes()), outputs=("y",))


@needs_compiler
@pytest.mark.parametrize(("kind", "padding_code"), [(U8, 0), (S8, 3), (S16, 3)])
def test_layers(kind: IntegerType, padding_code: int, tmp_path: Path) -> None:
    program = layer(kind, 0.4, padding_code=padding_code)
    written(program, RICE, tmp_path)
    check(program, host({"network": program}, tmp_path), samples(program, 2))


@needs_compiler
@pytest.mark.long
@pytest.mark.parametrize("kernel", [(1, 1), (1, 3), (5, 5)])
@pytest.mark.parametrize("channels", [2, 3, 33, 130])
@pytest.mark.parametrize("density", DENSITIES)
def test_many_layers(
    density: float, channels: int, kernel: tuple[int, int], tmp_path: Path
) -> None:
    program = layer(KINDS[channels % 3], density, channels, kernel, channels % 2)
    written(program, RICE, tmp_path)
    check(program, host({"network": program}, tmp_path), samples(program, 2))


@pytest.mark.long
@each_compiler
@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_sanitizers_have_nothing_to_say(
    compiler: str, kind: IntegerType, density: float, tmp_path: Path
) -> None:
    program = layer(kind, density, padding_code=int(density == 1))
    check_sanitized(program, c_model(program, RICE).files, tmp_path, compiler)


@pytest.mark.long
@pytest.mark.parametrize("name", [engine(name) for name in BOARDS])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_on_boards(kind: IntegerType, name: str, tmp_path: Path) -> None:
    program = layer(kind, 0.4, padding_code=2)
    written(program, RICE, tmp_path)
    running = on_board(BOARDS[name], {"network": program}, tmp_path)
    check(program, running, samples(program, 1))


def test_smallest_takes_them_where_they_save_more_than_what_reads_them() -> None:
    """And leaves few weights dense; `auto` takes no memory for them."""
    many, few = layer(U8, 0.3, channels=400), layer(U8, 0.3, channels=40)
    assert weights_of(many, "smallest")["sums"]["encoding"] == "rice"
    assert weights_of(few, "smallest")["sums"]["encoding"] == "dense"
    assert weights_of(many, "auto")["sums"]["encoding"] == "dense"
    assert c_model(many, "smallest").sizes.arena - c_model(many, "auto").sizes.arena <= 9 * 400


def test_more_weights_than_a_row_can_have_are_refused() -> None:
    program = layer(U8, 0.1, channels=2700, kernel=(5, 5))
    convolution = program.operations[0]
    assert isinstance(convolution, Convolution)
    factors = factors_of(convolution, program)
    assert KERNELS["rice"].obstacle(factors) == "it has 67,500 weights, at most 65,535 allowed"
