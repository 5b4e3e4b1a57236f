"""How C stores weights: the encoding of each layer, and sparse kernels here and on boards."""

import json
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from quantlab.deploy.c.artefact import FOLDER, host, on_board
from quantlab.deploy.c.boards.measure import measure
from quantlab.deploy.c.boards.table import BOARDS
from quantlab.deploy.c.compiler import STANDARD
from quantlab.deploy.c.kernels.choice import Encoding, factors_of
from quantlab.deploy.c.kernels.table import KERNELS
from quantlab.deploy.c.model import c_model
from quantlab.deploy.c.overlap import Places, window_gap
from quantlab.deploy.c.runtime_files import RUNTIME
from quantlab.deploy.folder import write_files
from quantlab.errors import UsageError
from quantlab.integer.operations import Convolution, Linear, Operation, Requantize, Reshape, Windows
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S8, S16, U8, IntegerType, TensorType
from quantlab.integer.verify import Engine, compare
from tests.quantlab.deploy.boards import engine
from tests.quantlab.deploy.sanitizers import check_sanitized, each_compiler
from tests.quantlab.deploy.test_c_arena import layers
from tests.quantlab.integer.oracle import evaluate
from tests.quantlab.integer.programs import Author, inputs

needs_compiler = pytest.mark.skipif(which("cc") is None, reason="no C compiler: cc")
SPARSE = ("csr", "delta4", "bitmap", "block4", "nibbles", "rice")
DENSITIES = (0, 0.01, 0.1, 0.5, 1)
GAPS = (254, 255, 256, 509)


def codes(sums: str = "sums", output: str = "y") -> Requantize:
    """Return a requantization of sums to bytes."""
    return Requantize(
        inputs=(sums,), output=output, multiplier=np.array(2**30), offset=np.array(3 << 40),
        shift=np.array(41), low=-128, high=127, kind=S8,
    )  # fmt: skip


def linear(weight: NDArray[Any], kind: IntegerType = S8) -> Program:
    """Return one layer."""
    layer = Linear(
        inputs=("x",), output="y", weight=weight.astype(np.int8), weight_bits=8,
        bias=np.arange(len(weight), dtype=np.int32),
    )  # fmt: skip
    types = {"x": TensorType((weight.shape[1],), kind)}
    return Program(inputs=types, operations=(layer,), outputs=("y",))


def weights_of(program: Program, encoding: Encoding) -> dict[str, dict[str, object]]:
    """Return what the manifest says of the weights."""
    found: dict[str, dict[str, object]] = json.loads(
        c_model(program, encoding).files["model.json"]
    )["weights"]
    return found


def written(program: Program, encoding: Encoding, folder: Path) -> Path:
    """Write a program as C where engines look for it."""
    write_files(c_model(program, encoding).files, folder / FOLDER)
    return folder


def samples(program: Program, count: int, seed: int = 0) -> Mapping[str, NDArray[Any]]:
    """Return elements of all values that the input can have."""
    (kind,) = program.inputs.values()
    random = np.random.default_rng(seed)
    values = random.integers(kind.kind.minimum, kind.kind.maximum + 1, (count, *kind.shape))
    return {"x": values.astype(kind.kind.dtype)}


def check(program: Program, engine: Engine, batch: Mapping[str, NDArray[Any]]) -> None:
    (found,) = compare(program, {"c": engine}, [batch])
    assert found.num_mismatches == 0, f"{found.first}\n{program}"
    assert found.num_values > 0


def check_here(program: Program, encoding: str, folder: Path) -> None:
    """Check a program whose layer's weights have an encoding on this machine."""
    layer = program.operations[0].output
    assert weights_of(program, {layer: encoding})[layer]["encoding"] == encoding
    written(program, {layer: encoding}, folder)
    check(program, host({"network": program}, folder), samples(program, 2))


def sparse(
    random: np.random.Generator, shape: tuple[int, ...], density: float, block: int = 1
) -> NDArray[np.int8]:
    """Return weights of which a share is not zero, in whole blocks of input channels; the first row
    has none at all."""
    weight: NDArray[np.int8] = random.integers(1, 128, shape, np.int8) * random.choice(
        np.array([-1, 1], np.int8), shape
    )
    blocks = random.random((shape[0], shape[1] // block, *shape[2:])) < density
    weight[~blocks.repeat(block, axis=1)] = 0
    if density < 1:
        weight[0] = 0
    return weight


def fitted(weight: NDArray[np.int8], encoding: str) -> NDArray[np.int8]:
    """Return weights of as few bits as an encoding can store."""
    return weight.clip(-8, 7) if encoding == "nibbles" else weight


def layer(seed: int, density: float, encoding: str) -> Program:
    """Return a convolution of any sizes that an encoding can store, and its codes."""
    random = np.random.default_rng(seed)

    def any_of(*values: int) -> int:
        return int(random.choice(values))

    sizes = (1, 2, 3, 5, 16, 17, 31, 64, 65, 129, 257, 513)
    groups = any_of(1, 1, 1, 2, 3)
    block = 4 if encoding == "block4" else 1
    channels, outputs = any_of(*sizes), any_of(*sizes[:9])
    channels = -(-channels // (groups * block)) * groups * block
    outputs = -(-outputs // groups) * groups
    if groups == outputs == channels:
        outputs *= 2  # not one channel each: that stays dense
    kernel = (any_of(1, 1, 2, 3), any_of(1, 2, 3))
    kind = (U8, S8, S16)[any_of(0, 1, 2 if block == 1 else 0)]
    windows = Windows(
        kernel=kernel,
        stride=(any_of(1, 2), any_of(1, 2, 3)),
        padding=(any_of(0, 1), any_of(0, 2), any_of(0, 1), any_of(0, 1)),
        dilation=(any_of(1, 2), any_of(1, 2)),
    )
    weight = sparse(random, (outputs, channels // groups, *kernel), density, block)
    weight = fitted(weight, encoding)
    if kind is S16 and encoding != "nibbles":
        weight //= 64  # so that sums have 32 bits
    low, high = kind.minimum, kind.maximum
    padding = random.integers(low, high + 1, channels if any_of(0, 1) else 1, np.int32)
    padding = np.broadcast_to(padding * np.int32(any_of(0, 1)), channels)
    convolution = Convolution(
        inputs=("x",), output="sums", weight=weight, weight_bits=8, windows=windows, groups=groups,
        bias=random.integers(-999, 999, outputs, np.int32), padding_codes=padding,
    )  # fmt: skip
    types = {"x": TensorType((channels, any_of(5, 6), any_of(5, 6, 9)), kind)}
    operations: tuple[Operation, ...] = (convolution, codes())
    return Program(inputs=types, operations=operations, outputs=("y",))


def test_the_manifest_has_the_encoding_and_the_bytes_of_each_layer() -> None:
    weight = np.zeros((4, 248))
    assert weights_of(linear(weight), "dense") == {"y": {"encoding": "dense", "bytes": 992}}
    weight[1, 7] = 1
    assert weights_of(linear(weight), "csr") == {"y": {"encoding": "csr", "bytes": 6}}


def test_a_name_is_for_layers_that_become_smaller() -> None:
    assert weights_of(linear(np.ones((4, 8))), "csr") == {"y": {"encoding": "dense", "bytes": 32}}


@pytest.mark.parametrize(
    ("encoding", "message"),
    [
        (
            "dens",
            r"encoding: 'dens' given, auto, smallest, small.* allowed; did you mean 'dense'\?",
        ),
        ({"z": "dense"}, "encoding: no layer makes 'z'"),
        ({"y": "auto"}, r"encoding\['y'\]: 'auto' given, dense.* allowed"),
        (None, "encoding: a NoneType given, a name, or names by layer, allowed"),
        ({"y": None}, r"encoding\['y'\]: a NoneType given, a name allowed"),
        ({3: "csr"}, "encoding: a int given, names of layers allowed"),
    ],
)
def test_what_is_no_encoding_is_refused(encoding: Encoding, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        c_model(linear(np.ones((3, 4))), encoding)


def test_auto_takes_fewer_bytes_at_no_more_instructions() -> None:
    """Rice codes take fewer bytes than sparse rows, and of half of the weights a bitmap does; but
    they are slow."""
    random = np.random.default_rng(0)
    few, half = (sparse(random, (128, 256), density) for density in (0.05, 0.6))
    for weight, auto, smallest in ((few, "csr", "rice"), (half, "dense", "bitmap")):
        program = linear(weight)
        assert weights_of(program, "auto")["y"]["encoding"] == auto
        assert weights_of(program, "smallest")["y"]["encoding"] == smallest
    # The code of sparse kernels is smaller too; but nothing is stored in more bytes than dense.
    assert weights_of(linear(few[:2, :100]), "auto")["y"]["encoding"] != "dense"
    assert weights_of(linear(np.full((3, 4), 100)), "smallest")["y"]["encoding"] == "dense"


def test_auto_sees_the_weights_of_a_flattened_image_as_they_lie() -> None:
    """Its channels lie together: blocks of these are found."""
    random = np.random.default_rng(0)
    weight = sparse(random, (128, 32, 4, 4), 0.1, block=4).reshape(128, 512)
    layer = linear(weight).operations[0]
    flat = Reshape(inputs=("image",), output="x", shape=(512,))
    types = {"image": TensorType((32, 4, 4), S8)}
    program = Program(inputs=types, operations=(flat, layer), outputs=("y",))
    found = weights_of(program, "auto")["y"]
    assert found["encoding"] == "block4"
    assert found["bytes"] == 128 + 5 * np.count_nonzero(weight) // 4


@settings(max_examples=100, deadline=None)
@given(layers(), st.integers(2, 5))
def test_places_made_at_once_are_read_before_they_are_written_over(
    layer: tuple[Windows, Places, Places], at_once: int
) -> None:
    """Whatever of them is written first: all at the last moment at which one is read."""
    windows, given_, result = layer
    gap = window_gap(windows, given_, result, at_once=at_once)
    for is_backward, offset in ((False, -gap.forward), (True, gap.backward)):
        numbers = list(range(result.count))[:: -1 if is_backward else 1]
        assert offset is not None
        written: set[int] = set()
        for first in range(0, result.count, at_once):
            turn = numbers[first : first + at_once]
            for number in turn:
                begin = offset + number * result.size
                written |= set(range(begin, begin + result.size))
            assert not written & {at for one in turn for at in read(windows, given_, result, one)}


def read(windows: Windows, given_: Places, result: Places, number: int) -> set[int]:
    """Return the bytes that a window reads."""
    place = divmod(number, result.columns)
    steps = [
        [place[axis] * windows.stride[axis] - windows.padding[axis] + k * windows.dilation[axis]
         for k in range(windows.kernel[axis])]
        for axis in (0, 1)
    ]  # fmt: skip
    return {
        (row * given_.columns + column) * given_.size + byte
        for row in steps[0]
        for column in steps[1]
        for byte in range(given_.size)
        if 0 <= row < given_.rows and 0 <= column < given_.columns
    }


@needs_compiler
@pytest.mark.parametrize("encoding", SPARSE)
@pytest.mark.parametrize("seed", [18])
def test_some_layers(encoding: str, seed: int, tmp_path: Path) -> None:
    check_here(layer(seed, DENSITIES[seed % 5], encoding), encoding, tmp_path)


@needs_compiler
@pytest.mark.long
@pytest.mark.parametrize("encoding", SPARSE)
@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize("seed", range(30))
def test_many_layers(encoding: str, density: float, seed: int, tmp_path: Path) -> None:
    check_here(layer(seed, density, encoding), encoding, tmp_path)


@needs_compiler
@pytest.mark.parametrize("encoding", SPARSE)
def test_gaps(encoding: str, tmp_path: Path) -> None:
    """A row for each gap before the first weight and between two, and one without weights; gaps of
    blocks where these are stored."""
    step = 4 if encoding == "block4" else 1
    weight = np.zeros((1 + 2 * len(GAPS), 1100 * step), np.int8)
    for row, gap in enumerate(GAPS):
        weight[row, gap * step] = -128
        weight[-1 - row, [0, (gap + 1) * step]] = 127, 3
    weight = fitted(weight, encoding)
    program = linear(weight)
    check_here(program, encoding, tmp_path)
    batch = samples(program, 2)
    expected = evaluate(program, batch)["y"]
    dense = (weight.astype(int) @ batch["x"].T.astype(int)).T + np.arange(len(weight))
    assert expected.tolist() == dense.tolist()


def network(encodings: Mapping[str, str]) -> Program:
    """Return two convolutions and a fully connected layer, of some zeros."""
    random = np.random.default_rng(4)
    windows = Windows(kernel=(3, 2), padding=(1, 0, 1, 1), stride=(1, 2))
    shapes = {"a": (8, 3, 3, 2), "b": (6, 4, 1, 1)}
    operations: list[Operation] = []
    before = "x"
    for name, shape in shapes.items():
        groups = 1 if name == "a" else 2
        operations.append(
            Convolution(
                inputs=(before,),
                output=name,
                weight=fitted(sparse(random, shape, 0.3), encodings[name]),
                weight_bits=8,
                windows=windows if name == "a" else Windows(kernel=(1, 1)),
                groups=groups,
                bias=random.integers(-999, 999, shape[0], np.int32),
                padding_codes=np.full(shape[1] * groups, 3, np.int32),
            )
        )
        operations.append(codes(name, f"{name}_codes"))
        before = f"{name}_codes"
    operations.append(Reshape(inputs=(before,), output="flat", shape=(6 * 5 * 5,)))
    operations.append(
        Linear(
            inputs=("flat",),
            output="y",
            weight=fitted(sparse(random, (7, 150), 0.1), encodings["y"]),
            weight_bits=8,
            bias=np.arange(7, dtype=np.int32),
        )
    )
    types = {"x": TensorType((3, 5, 10), U8)}
    return Program(inputs=types, operations=tuple(operations), outputs=("y",))


@pytest.mark.parametrize(
    "encodings",
    [
        {"a": "csr", "b": "block4", "y": "bitmap"},
        {"a": "rice", "b": "nibbles", "y": "rice"},
    ],
    ids=["bytes", "bits"],
)
@pytest.mark.parametrize("name", [engine(name) for name in BOARDS])
def test_on_boards(name: str, encodings: Mapping[str, str], tmp_path: Path) -> None:
    program = network(encodings)
    written(program, encodings, tmp_path)
    running = on_board(BOARDS[name], {"network": program}, tmp_path)
    check(program, running, samples(program, 2))


@pytest.mark.long
@pytest.mark.parametrize("name", [engine(n) for n in BOARDS if n not in ("c-m0", "c-msp430")])
@pytest.mark.parametrize("encoding", SPARSE)
@pytest.mark.parametrize("seed", [10, 11, 12, 13])
def test_layers_on_boards(encoding: str, name: str, seed: int, tmp_path: Path) -> None:
    program = layer(seed, 0.3, encoding)
    written(program, {"sums": encoding}, tmp_path)
    running = on_board(BOARDS[name], {"network": program}, tmp_path)
    check(program, running, samples(program, 1))


@pytest.mark.long
@pytest.mark.parametrize("name", [engine("c-m3")])
@pytest.mark.parametrize("encoding", SPARSE)
def test_code_is_as_large_as_the_choice_counts_it(encoding: str, name: str, tmp_path: Path) -> None:
    program = linear(np.ones((4, 8)))
    (layer,) = program.operations
    assert isinstance(layer, Linear)
    stored = KERNELS[encoding].store(factors_of(layer, program))
    compiler, total = BOARDS[name].compiler, 0
    shared = KERNELS[encoding].shared_code
    assert shared.keys() <= stored.runtime
    for number, file in enumerate([stored.function, *stored.runtime]):
        found = str(tmp_path / f"{number}.o")
        command = [compiler, *BOARDS[name].flags, *STANDARD, "-c", "-o", found]
        subprocess.run([*command, str(RUNTIME / f"{file}.c")], check=True)
        size = subprocess.run(
            [compiler.replace("gcc", "size"), found], capture_output=True, text=True, check=True
        )
        num_bytes = int(size.stdout.splitlines()[1].split()[0])
        assert abs(num_bytes - shared.get(file, num_bytes)) < 0.1 * num_bytes
        total += num_bytes
    assert abs(total - KERNELS[encoding].code_bytes) < 0.1 * total


@cache
@needs_compiler
@pytest.mark.long
@pytest.mark.parametrize("encoding", SPARSE)
@pytest.mark.parametrize("seed", range(400, 440))
def test_random_programs(encoding: str, seed: int, tmp_path: Path) -> None:
    """Layers between others: pooled at once, added to what is written over, in place."""
    program = Author(seed).program(4 + seed % 12)
    layers = [one for one in program.operations if isinstance(one, Convolution | Linear)]
    kernel = KERNELS[encoding]
    able = [one.output for one in layers if kernel.obstacle(factors_of(one, program)) is None]
    written(program, dict.fromkeys(able, encoding), tmp_path)
    check(program, host({"network": program}, tmp_path), inputs(program, 2, seed))


@pytest.mark.long
@each_compiler
@pytest.mark.parametrize("encoding", SPARSE)
@pytest.mark.parametrize("seed", range(40, 60))
def test_sanitizers_have_nothing_to_say(
    compiler: str, encoding: str, seed: int, tmp_path: Path
) -> None:
    program = layer(seed, DENSITIES[seed % 5], encoding)
    check_sanitized(program, c_model(program, {"sums": encoding}).files, tmp_path, compiler)


def two_kinds() -> Program:
    """Return two layers of sparse weights: many behind inputs without a sign, few behind codes."""
    random = np.random.default_rng(6)

    def dense_layer(name: str, inputs: str, shape: tuple[int, int]) -> Linear:
        weight = np.round(random.normal(0, 40, shape) * (random.random(shape) < 0.05))
        return Linear(
            inputs=(inputs,), output=name, weight=weight.clip(-128, 127).astype(np.int8),
            weight_bits=8, bias=np.arange(shape[0], dtype=np.int32),
        )  # fmt: skip

    many, few = dense_layer("many", "x", (200, 300)), dense_layer("y", "codes", (40, 200))
    types = {"x": TensorType((300,), U8)}
    return Program(inputs=types, operations=(many, codes("many", "codes"), few), outputs=("y",))


def test_code_that_another_type_of_inputs_needs_too_counts_once() -> None:
    """Rice codes save fewer bytes of the few weights than the whole code of another kernel would,
    but most of theirs is there."""
    program = two_kinds()
    sizes = {name: weights_of(program, {"y": name})["y"]["bytes"] for name in ("csr", "rice")}
    assert 0 < sizes["csr"] - sizes["rice"] < KERNELS["rice"].code_bytes - KERNELS["csr"].code_bytes
    chosen = weights_of(program, "smallest")
    assert [one["encoding"] for one in chosen.values()] == ["rice", "rice"]


@pytest.mark.long
@pytest.mark.parametrize("name", [engine("c-m3")])
def test_smallest_has_the_smallest_objects(name: str, tmp_path: Path) -> None:
    program = two_kinds()
    choices: list[Encoding] = ["csr", "rice", {"many": "rice", "y": "csr"}, "smallest"]
    flash = [
        measure(written(program, one, tmp_path / str(number)) / FOLDER, BOARDS[name]).flash_bytes
        for number, one in enumerate(choices)
    ]
    assert flash[-1] == min(flash)
