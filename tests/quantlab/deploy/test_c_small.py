"""Layers of C in little code: the same integers, here, under sanitizers and on boards."""

import json
from pathlib import Path
from shutil import which

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks.pruned_digits import digits, program_of
from quantlab.deploy.c.artefact import host, on_board
from quantlab.deploy.c.boards.measure import measure
from quantlab.deploy.c.boards.table import BOARDS
from quantlab.deploy.c.footprint import flash_bytes, footprint
from quantlab.deploy.c.model import c_model
from quantlab.deploy.c.overlap import Places, window_gap
from quantlab.deploy.c.small_weights import PAIRS, stored
from quantlab.deploy.folder import write_files
from quantlab.integer.operations import (
    AdaptiveSumPool,
    Add,
    Convolution,
    Linear,
    MaxPool,
    Operation,
    Requantize,
    Reshape,
    SumPool,
    Windows,
)
from quantlab.integer.program import Program
from quantlab.integer.short import shortened
from quantlab.integer.tensor_type import S8, S32, U8, TensorType
from tests.quantlab.deploy.boards import engine
from tests.quantlab.deploy.networks import NETWORKS, network_program
from tests.quantlab.deploy.sanitizers import check_sanitized, each_compiler
from tests.quantlab.deploy.test_c_arena import layers
from tests.quantlab.deploy.test_c_sparse import check, read, samples, sparse, weights_of, written
from tests.quantlab.integer.programs import Author, inputs

needs_compiler = pytest.mark.skipif(which("cc") is None, reason="no C compiler: cc")
MADE = ("sums", "numbers", "any numbers", "short", "long", "pooled", "added", "exact")


def requantized(
    random: np.random.Generator, sums: str, output: str, bound: int, made: str, channels: int
) -> Requantize:
    """Return codes of sums up to a bound. made: `short` for constants of few bits, `numbers` for
    integers of 32 bits, `exact` for shifts that no shorter constants can follow."""
    is_wide = made in ("numbers", "any numbers")
    kind = S32 if is_wide else (U8, S8)[int(random.integers(2))]
    bits = 8 if made == "short" else 28
    multiplier = random.integers(2 ** (bits - 1), 2**bits, (channels, 1, 1), np.int32)
    shift = max(0, bound.bit_length() + bits - (20 if is_wide else 7))
    offset = random.integers(-(2 ** (shift + 4)), 2 ** (shift + 4), (channels, 1, 1))
    if made == "short":
        offset = offset >> (shift - 3) << (shift - 3)
    if made in ("exact", "any numbers"):
        multiplier[: channels // 2] = 1
    shifts = np.array(shift)
    if made == "any numbers":
        # Some are clamped, some fit into 32 bits at no other shift.
        multiplier[-1], offset[-1] = 2**31 - 1, 2**61
        shifts = np.resize([shift, 12], (channels, 1, 1))
    return Requantize(
        inputs=(sums,), output=output, multiplier=multiplier, offset=offset, shift=shifts,
        low=kind.minimum, high=kind.maximum, kind=kind,
    )  # fmt: skip


def case(seed: int, made: str, density: float = 0.3) -> Program:
    """Return a convolution that little code can make, and what is made of its sums."""
    random = np.random.default_rng(seed)

    def any_of(*values: int) -> int:
        return int(random.choice(values))

    kind = (U8, S8)[any_of(0, 1)]
    channels, outputs = any_of(1, 2, 3, 16, 90), any_of(1, 2, 7, 17)
    kernel = (any_of(1, 1, 2, 3), any_of(1, 2, 3))
    windows = Windows(
        kernel=kernel,
        stride=(any_of(1, 2), any_of(1, 2, 3)),
        padding=(any_of(0, 1), any_of(0, 2), any_of(0, 1), any_of(0, 1)),
    )
    layer = Convolution(
        inputs=("x",), output="sums", weight=sparse(random, (outputs, channels, *kernel), density),
        weight_bits=8, windows=windows, bias=random.integers(-999, 999, outputs, np.int32),
        padding_codes=np.full(channels, any_of(0, kind.minimum, 5), np.int32),
    )  # fmt: skip
    given_ = TensorType((channels, any_of(5, 6), any_of(5, 6, 9)), kind)
    _, rows, columns = layer.infer([given_]).shape
    bound = 255 * int(np.abs(layer.weight.astype(int)).sum(axis=(1, 2, 3)).max()) + 1000
    operations: list[Operation] = [layer]
    if made != "sums":
        operations.append(requantized(random, "sums", "y", bound, made, outputs))
    if made == "pooled":
        kernel = tuple(any_of(*(n for n in range(1, s + 1) if s % n == 0)) for s in (rows, columns))
        pool = Windows(kernel=(kernel[0], kernel[1]), stride=(kernel[0], kernel[1]))
        operations.append(MaxPool(inputs=("y",), output="pooled", windows=pool))
    if made == "added":
        operations += _residual(random, operations[1], outputs)
    last = operations[-1].output
    return Program(inputs={"x": given_}, operations=tuple(operations), outputs=(last,))


def _residual(
    random: np.random.Generator, codes: Operation, channels: int
) -> tuple[Operation, ...]:
    """Return a layer of one place behind codes, to whose sums the codes are added."""
    shape = (channels, channels, 1, 1)
    layer = Convolution(
        inputs=(codes.output,), output="more", weight=sparse(random, shape, 0.5), weight_bits=8,
        windows=Windows(kernel=(1, 1)), bias=random.integers(-999, 999, channels, np.int32),
        padding_codes=np.zeros(channels, np.int32),
    )  # fmt: skip
    added = Add(
        inputs=(codes.output, "more"), output="z", left_multiplier=np.array(2**27),
        right_multiplier=random.integers(2**21, 2**22, (channels, 1, 1), np.int32),
        offset=random.integers(0, 2**30, (channels, 1, 1)), shift=np.array(29), low=-128, high=127,
        kind=S8,
    )  # fmt: skip
    return layer, added


def chain() -> Program:
    """Return two convolutions of images with pooling, and two fully connected layers."""
    random = np.random.default_rng(2)
    operations: list[Operation] = []
    x, channels = "x", 1
    for number, outputs in enumerate((6, 12)):
        operations += [
            Convolution(
                inputs=(x,), output=f"sums{number}", weight_bits=8, bias=np.zeros(outputs, int),
                weight=sparse(random, (outputs, channels, 3, 3), 0.4),
                windows=Windows(kernel=(3, 3), padding=(1, 1, 1, 1)),
                padding_codes=np.zeros(channels, int),
            ),
            Requantize(
                inputs=(f"sums{number}",), output=f"codes{number}", multiplier=np.array(2**30),
                offset=np.array(0), shift=np.array(38), low=0, high=255, kind=U8,
            ),
            MaxPool(
                inputs=(f"codes{number}",), output=f"pooled{number}",
                windows=Windows(kernel=(2, 2), stride=(2, 2)),
            ),
        ]  # fmt: skip
        x, channels = f"pooled{number}", outputs
    operations.append(Reshape(inputs=(x,), output="flat", shape=(192,)))
    for number, (columns, outputs) in enumerate(((192, 20), (20, 10))):
        operations += [
            Linear(
                inputs=("flat" if number == 0 else "hidden",), output=f"scores{number}",
                weight=sparse(random, (outputs, columns), 0.1), weight_bits=8,
                bias=np.arange(outputs, dtype=np.int32),
            )
        ]  # fmt: skip
        if number == 0:
            operations.append(
                Requantize(
                    inputs=("scores0",), output="hidden", multiplier=np.array(2**30),
                    offset=np.array(0), shift=np.array(38), low=0, high=255, kind=U8,
                )
            )  # fmt: skip
    types = {"x": TensorType((1, 16, 16), U8)}
    return Program(inputs=types, operations=tuple(operations), outputs=("scores1",))


def averaged(seed: int, *, is_adaptive: bool) -> Program:
    """Return a convolution, and codes of the sums over its whole image."""
    before = case(seed, "long")
    shape = before.types["y"].shape
    pool: Operation = AdaptiveSumPool(inputs=("y",), output="all", size=(1, 1))
    if not is_adaptive:
        windows = Windows(kernel=(shape[1], shape[2]), stride=(1, 1))
        pool = SumPool(inputs=("y",), output="all", windows=windows)
    last = Requantize(
        inputs=("all",), output="mean", multiplier=np.array(2**30), offset=np.array(2**34),
        shift=np.array(35), low=-128, high=127, kind=S8,
    )  # fmt: skip
    operations = (*before.operations, pool, last)
    return Program(inputs=before.inputs, operations=operations, outputs=("mean",))


def encodings(program: Program) -> set[object]:
    return {one["encoding"] for one in weights_of(program, "small").values()}


def rows_read(stream: NDArray[np.uint8], shape: tuple[int, int]) -> list[list[int]]:
    """Return weights as the loop of `runtime/small_pairs.inc` reads them, byte by byte."""
    given_ = iter(stream.tolist())
    found = []
    for _ in range(shape[0]):
        row, at, count = [0] * shape[1], 0, 255
        while count == 255:
            count = next(given_)
            for _ in range(count):
                gaps = next(given_)
                for gap in (gaps % 16, gaps // 16):
                    at += gap
                    code = next(given_)
                    row[at] += code - 256 * (code > 127)
        found.append(row)
    assert next(given_, None) is None
    return found


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.floats(0, 1), st.integers(1, 700), st.integers(1, 3))
def test_weights_are_read_as_they_are(seed: int, density: float, columns: int, rows: int) -> None:
    codes = sparse(np.random.default_rng(seed), (rows, columns), density)
    assert rows_read(stored(codes, PAIRS), codes.shape) == codes.tolist()


@pytest.mark.parametrize("gap", [15, 16, 30, 31, 254, 255, 256, 509, 510, 511])
def test_long_gaps_are_split(gap: int) -> None:
    codes = np.zeros((1, 2 * gap + 2), np.int8)
    codes[0, [gap, 2 * gap + 1]] = -128, 127
    assert rows_read(stored(codes, PAIRS), codes.shape) == codes.tolist()


@pytest.mark.parametrize("columns", [508, 509, 510, 511, 1020, 1021])
def test_rows_of_any_number_of_pairs_are_read(columns: int) -> None:
    codes = np.ones((2, columns), np.int8)
    assert rows_read(stored(codes, PAIRS), codes.shape) == codes.tolist()


@settings(max_examples=60, deadline=None)
@given(layers(), st.tuples(st.integers(1, 3), st.integers(1, 3)), st.integers(1, 4))
def test_places_that_are_pooled_together_are_read_before_they_are_written_over(
    layer: tuple[Windows, Places, Places], most: tuple[int, int], at_once: int
) -> None:
    windows, given_, image = layer
    sizes = zip((image.rows, image.columns), most, strict=True)
    edges = tuple(max(n for n in range(1, edge + 1) if size % n == 0) for size, edge in sizes)
    pool = Windows(kernel=(edges[0], edges[1]), stride=(edges[0], edges[1]))
    result = Places(rows=image.rows // edges[0], columns=image.columns // edges[1], size=image.size)
    gap = window_gap(windows, given_, result, pool, at_once, is_by_pool=True)
    numbers = [
        (i * edges[0] + k) * image.columns + j * edges[1] + m
        for i in range(result.rows)
        for j in range(result.columns)
        for k in range(edges[0])
        for m in range(edges[1])
    ]
    written_: set[int] = set()
    for first in range(0, len(numbers), at_once):
        turn = range(first, min(first + at_once, len(numbers)))
        for number in turn:
            begin = -gap.forward + number // (edges[0] * edges[1]) * result.size
            written_ |= set(range(begin, begin + result.size))
        assert not written_ & {
            at for one in turn for at in read(windows, given_, image, numbers[one])
        }


@pytest.mark.parametrize("made", MADE)
def test_layers_are_made_in_little_code(made: str) -> None:
    program = case(3, made)
    assert encodings(program) <= {"small", "small_rice"}


def test_weights_take_the_form_of_fewer_bytes_and_code() -> None:
    """Rice codes of a layer of many places are slow, unless its gaps are long."""
    random = np.random.default_rng(0)

    def program(side: int, density: float) -> Program:
        layer = Convolution(
            inputs=("x",), output="y", weight=sparse(random, (90, 80, 3, 3), density),
            weight_bits=8, windows=Windows(kernel=(3, 3)), bias=np.zeros(90, np.int32),
            padding_codes=np.zeros(80, np.int32),
        )  # fmt: skip
        types = {"x": TensorType((80, side, side), U8)}
        return Program(inputs=types, operations=(layer,), outputs=("y",))

    forms = {
        (side, density, encoding): weights_of(program(side, density), encoding)["y"]["encoding"]
        for side in (3, 9)
        for density in (0.01, 0.1)
        for encoding in ("small", "tiny")
    }
    assert forms.pop((9, 0.1, "small")) == "small"
    assert set(forms.values()) == {"small_rice"}
    assert encodings(chain()) == {"small"}  # too few for two functions


@needs_compiler
@pytest.mark.parametrize("made", ["pooled", "added", "long"])
def test_layers_have_the_integers_of_the_program(made: str, tmp_path: Path) -> None:
    program = case(3, made)
    written(program, "tiny" if made == "long" else "small", tmp_path)
    check(program, host({"network": program}, tmp_path), samples(program, 2))


@needs_compiler
@pytest.mark.parametrize(
    "seed", [3, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(4, 20))]
)
def test_images_are_added_up_in_little_code(seed: int, tmp_path: Path) -> None:
    program = averaged(seed, is_adaptive=seed % 2 == 1)
    files = c_model(program, "small").files
    assert "ql_sum_pool" not in files["model.c"].decode()
    assert {"runtime/sum_pool.c", "runtime/finish_row.c"}.isdisjoint(files)
    assert "ql_sum_pool" in c_model(program, "csr").files["model.c"].decode()
    written(program, "small", tmp_path)
    check(program, host({"network": program}, tmp_path), samples(program, 2))


@needs_compiler
@pytest.mark.long
@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("seed", range(40))
def test_many_layers(made: str, seed: int, tmp_path: Path) -> None:
    program = case(seed, made, density=(0, 0.01, 0.1, 0.5, 1)[seed % 5])
    written(program, ("small", "tiny")[seed % 2], tmp_path)
    check(program, host({"network": program}, tmp_path), samples(program, 2))


@needs_compiler
@pytest.mark.long
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_have_the_integers_of_the_program(name: str, tmp_path: Path) -> None:
    program = network_program(name)
    written(program, "small", tmp_path)
    (given_,) = program.inputs
    batch = {given_: samples(program, 2)["x"]}
    check(program, host({"network": program}, tmp_path), batch)


@needs_compiler
@pytest.mark.long
@pytest.mark.parametrize("seed", range(30))
def test_random_programs_have_their_integers(seed: int, tmp_path: Path) -> None:
    program = Author(seed).program(12)
    written(program, ("small", "tiny")[seed % 2], tmp_path)
    check(program, host({"network": program}, tmp_path), inputs(program, 2, seed))


def test_layers_that_survive_power_failures_have_other_code() -> None:
    files = c_model(chain(), "small", intermittent=True).files
    assert not [name for name in files if name.startswith("runtime/small")]


@pytest.mark.long
def test_what_little_code_cannot_make_is_dense_or_sparse() -> None:
    """Layers of one channel for each output, say."""
    found = encodings(network_program("depthwise"))
    assert "dense" in found
    assert found & {"small", "small_rice"}


@each_compiler
@pytest.mark.long
@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("seed", range(6))
def test_sanitizers_have_nothing_to_say(
    compiler: str, made: str, seed: int, tmp_path: Path
) -> None:
    program = case(seed, made)
    encoding = ("small", "tiny")[seed % 2]
    check_sanitized(program, c_model(program, encoding).files, tmp_path, compiler)


@pytest.mark.long
def test_a_small_model_passes_its_own_test_under_sanitizers(tmp_path: Path) -> None:
    check_sanitized(chain(), c_model(chain(), "small").files, tmp_path, "gcc")


@pytest.mark.parametrize("name", [engine(name, quick=()) for name in BOARDS])
def test_boards_make_the_same(name: str, tmp_path: Path) -> None:
    program = chain()
    written(program, "small", tmp_path)
    check(program, on_board(BOARDS[name], {"network": program}, tmp_path), samples(program, 1))


@needs_compiler
@pytest.mark.long
def test_code_and_structures_are_much_less() -> None:
    rest = {}
    for encoding in ("smallest", "small"):
        model = c_model(chain(), encoding)
        rows = footprint(model.files, ["cc"]).rows
        rest[encoding] = sum(row.structures + row.code for row in rows)
        assert json.loads(model.files["model.json"])["encoding"] == encoding
    assert rest["small"] < 0.6 * rest["smallest"]


@needs_compiler
def test_short_constants_take_four_bytes_an_output(tmp_path: Path) -> None:
    """But for an output of 32 bits."""
    program = shortened(chain())
    model = c_model(program, "small")
    weights = json.loads(model.files["model.json"])["weights"].values()
    num_outputs = 6 + 12 + 20
    assert model.sizes.flash - sum(one["bytes"] for one in weights) == 4 * num_outputs + 12 * 10
    written(program, "small", tmp_path)
    check(program, host({"network": program}, tmp_path), samples(program, 2))


@pytest.mark.parametrize("name", [engine("c-m3")])
def test_a_small_network_takes_little_more_than_its_weights(name: str, tmp_path: Path) -> None:
    """56 outputs with 4 to 12 bytes of constants each are among it."""
    model = c_model(chain(), "small")
    write_files(model.files, tmp_path)
    weights = sum(one["bytes"] for one in json.loads(model.files["model.json"])["weights"].values())
    assert flash_bytes(tmp_path, BOARDS[name]) - weights < 2200
    assert measure(tmp_path, BOARDS[name]).stack_bytes < 400


@pytest.mark.long
@pytest.mark.parametrize("name", [engine("c-m3")])
def test_the_digits_network_takes_9_kb_and_900_000_instructions(name: str, tmp_path: Path) -> None:
    model = c_model(shortened(program_of(digits())), "small")
    write_files(model.files, tmp_path)
    found = measure(tmp_path, BOARDS[name])
    assert found.flash_bytes <= 9 * 1024
    assert model.sizes.ram + found.stack_bytes <= 2500
    assert found.instructions <= 900_000
