"""Weights of few bits as C: counted, and multiplied as fields, here and on boards."""

import json
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from quantlab.deploy.c.artefact import FOLDER, host, on_board
from quantlab.deploy.c.boards.measure import measure
from quantlab.deploy.c.boards.table import BOARDS
from quantlab.deploy.c.kernels.choice import chosen
from quantlab.deploy.c.kernels.counted import counted_bytes, counted_words
from quantlab.deploy.c.kernels.fields import field_bytes, field_words, most_inputs
from quantlab.deploy.c.model import c_model
from quantlab.deploy.folder import write_files
from quantlab.deploy.table import absent
from quantlab.errors import UsageError
from quantlab.integer.layout.levels import Levels
from quantlab.integer.layout.planes import planes_of
from quantlab.integer.operations import (
    Convolution,
    Linear,
    Operation,
    Requantize,
    Reshape,
    Slice,
    Threshold,
    Windows,
)
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S8, S16, U8, TensorType
from quantlab.integer.verify import Engine, compare
from tests.lab import make_lab
from tests.quantlab.deploy.boards import engine
from tests.quantlab.deploy.sanitizers import check_sanitized, each_compiler

needs_compiler = pytest.mark.skipif(which("cc") is None, reason="no C compiler: cc")
boards = pytest.mark.parametrize("board", [engine(name) for name in BOARDS])
SMALL = ("c-m0", "c-msp430")
WEIGHTS = {"bits1": ((-1, 1),), "bits2": ((-1, 0, 1), (-2, -1, 0, 1)), "bits4": (range(-8, 8),)}
# low, step and the number of steps of a layer's inputs; None for all integers of a type.
COUNTED = ((0, 1, 1), (-1, 2, 1), (-1, 1, 2), (0, 1, 3), (-3, 2, 3), (-4, 1, 7), (0, 1, 7))
INPUTS = (*COUNTED, (0, 1, 15), (-8, 1, 15), U8, S8)


def inputs_of(kind: Any, channels: int, rows: int) -> tuple[TensorType, tuple[Operation, ...]]:
    """Return the type of a program's input, and what makes the layer's input 'codes' of it."""
    shape = (channels, rows, 5)
    if kind in (U8, S8):
        operation = Slice(inputs=("x",), output="codes", axis=0, start=0, stop=channels)
        return TensorType(shape, kind), (operation,)
    low, step, count = kind
    few = Threshold(
        inputs=("x",), output="codes", thresholds=np.linspace(9, 250, count).astype(int)[None],
        signs=np.ones(1, np.int8), low=low, step=step, kind=S8 if low < 0 else U8,
    )  # fmt: skip
    return TensorType(shape, U8), (few,)


def layer(seed: int, encoding: str) -> Program:
    """Return a convolution of any sizes, and codes of its sums."""
    random = np.random.default_rng(seed)

    def any_of(*values: Any) -> Any:
        return values[random.integers(len(values))]

    sizes = (1, 2, 3, 7, 8, 31, 32, 33, 64, 65, 129, 257, 513)
    groups = any_of(1, 1, 1, 2, 3)
    per_group, outputs = any_of(*sizes[: 11 if groups > 1 else 13]), any_of(*sizes[:11])
    outputs = max(-(-outputs // groups), 2) * groups  # not one channel each: that stays dense
    channels = per_group * groups
    kind = any_of(*INPUTS)
    given, operations = inputs_of(kind, channels, any_of(3, 4))
    windows = Windows(
        kernel=(any_of(1, 2, 3), any_of(1, 2, 3)),
        stride=(any_of(1, 2), any_of(1, 2, 3)),
        padding=(any_of(0, 1), any_of(0, 2), any_of(0, 1), any_of(0, 1)),
        dilation=(1, any_of(1, 2)),
    )
    low, high = (kind.minimum, kind.maximum) if kind in (U8, S8) else (kind[0], kind[0] + 1)
    convolution = Convolution(
        inputs=("codes",), output="sums",
        weight=random.choice(
            np.array(any_of(*WEIGHTS[encoding]), np.int8),
            (outputs, per_group, *windows.kernel),
        ),
        weight_bits=int(encoding[-1]), bias=random.integers(-99, 99, outputs), windows=windows,
        padding_codes=random.integers(low, high + 1, channels) * any_of(0, 1), groups=groups,
    )  # fmt: skip
    codes = Requantize(
        inputs=("sums",), output="y", multiplier=random.integers(2**29, 2**30, (outputs, 1, 1)),
        offset=random.integers(-(2**40), 2**40, (outputs, 1, 1)),
        shift=random.integers(34, 40, (outputs, 1, 1)), low=-128, high=127, kind=S8,
    )  # fmt: skip
    made = (codes,) if any_of(0, 1) else ()
    return Program(
        inputs={"x": given},
        operations=(*operations, convolution, *made),
        outputs=(("y",) if made else ("sums",)),
    )


def samples(program: Program, count: int) -> dict[str, NDArray[Any]]:
    """Return elements of all values that the input can have, and one sample of each end."""
    (kind,) = program.inputs.values()
    ends = kind.kind.minimum, kind.kind.maximum
    values = np.random.default_rng(0).integers(ends[0], ends[1] + 1, (count, *kind.shape))
    values[0], values[-1] = ends
    return {"x": values.astype(kind.kind.dtype)}


def written(program: Program, encoding: str, folder: Path) -> None:
    """Write a program as C where engines look for it, all layers with an encoding."""
    layers = [o.output for o in program.operations if isinstance(o, Convolution | Linear)]
    files = c_model(program, dict.fromkeys(layers, encoding)).files
    write_files(files, folder / FOLDER)
    kept = json.loads(files["model.json"])["weights"]
    assert {one["encoding"] for one in kept.values()} == {encoding}


def check(program: Program, running: Engine, count: int = 3) -> None:
    (found,) = compare(program, {"c": running}, [samples(program, count)])
    assert found.num_mismatches == 0, f"{found.first}\n{program}"
    assert found.num_values > 0


def check_here(program: Program, encoding: str, folder: Path) -> None:
    written(program, encoding, folder)
    check(program, host({"network": program}, folder))


SOME = [("bits1", 4), ("bits2", 5), ("bits4", 3)]


@needs_compiler
@pytest.mark.parametrize(("encoding", "seed"), SOME)
def test_some_layers_of_any_size(encoding: str, seed: int, tmp_path: Path) -> None:
    check_here(layer(seed, encoding), encoding, tmp_path)


@needs_compiler
@pytest.mark.long
@pytest.mark.parametrize("encoding", WEIGHTS)
@pytest.mark.parametrize("seed", range(100, 220))
def test_many_layers_of_any_size(encoding: str, seed: int, tmp_path: Path) -> None:
    check_here(layer(seed, encoding), encoding, tmp_path)


@boards
def test_layers_on_boards(board: str, tmp_path: Path) -> None:
    encoding = "bits2" if board == "c-m4" else "bits1"
    program = chain(encoding)
    written_both(program, encoding, tmp_path)
    check(program, on_board(BOARDS[board], {"network": program}, tmp_path))


@pytest.mark.long
@pytest.mark.parametrize("board", [engine(name) for name in BOARDS if name not in SMALL])
@pytest.mark.parametrize("encoding", WEIGHTS)
@pytest.mark.parametrize("seed", [300, 301, 302, 303])
def test_more_layers_on_boards(board: str, encoding: str, seed: int, tmp_path: Path) -> None:
    program = layer(seed, encoding)
    written(program, encoding, tmp_path)
    check(program, on_board(BOARDS[board], {"network": program}, tmp_path))


def chain(encoding: str) -> Program:
    """Return a layer of inputs of 8 bits, and behind it one of inputs of one bit."""
    random = np.random.default_rng(7)
    values = np.array(WEIGHTS[encoding][0], np.int8)
    bits = int(encoding[-1])
    first = Convolution(
        inputs=("x",), output="sums", weight=random.choice(values, (33, 5, 3, 2)), weight_bits=bits,
        bias=random.integers(-99, 99, 33), padding_codes=np.full(5, 3),
        windows=Windows(kernel=(3, 2), padding=(1, 0, 0, 1)),
    )  # fmt: skip
    few = Threshold(
        inputs=("sums",), output="few", thresholds=random.integers(-300, 300, (33, 1)),
        signs=random.choice(np.array([-1, 1], np.int8), 33), low=-1, step=2, kind=S8,
    )  # fmt: skip
    size = 33 * 4 * 6
    row = Reshape(inputs=("few",), output="row", shape=(size,))
    last = Linear(
        inputs=("row",), output="scores", weight=random.choice(values, (5, size)), weight_bits=bits,
        bias=random.integers(-99, 99, 5),
    )  # fmt: skip
    return Program(
        inputs={"x": TensorType((5, 5, 6), U8)},
        operations=(first, few, row, last),
        outputs=("scores",),
    )


def written_both(program: Program, encoding: str, folder: Path) -> None:
    """Write a program that needs both functions."""
    files = c_model(program, encoding).files
    write_files(files, folder / FOLDER)
    for name in ("ql_bit_product", f"ql_field_product_{encoding[-1]}_u8"):
        assert name in str(files["model.c"])


@needs_compiler
@pytest.mark.parametrize("encoding", ["bits2"])
def test_layers_behind_one_another(encoding: str, tmp_path: Path) -> None:
    program = chain(encoding)
    written_both(program, encoding, tmp_path)
    check(program, host({"network": program}, tmp_path))


@needs_compiler
@pytest.mark.parametrize(
    "columns",
    [
        3968,
        *(pytest.param(count, marks=pytest.mark.long) for count in (31, 32, 128, 3967, 4000, 8100)),
    ],
)
def test_rows_of_all_ones(columns: int, tmp_path: Path) -> None:
    """Counts and halves are largest there: 3,968 bits are what counts of bytes hold."""
    for encoding, code, kind in (("bits1", 1, (0, 1, 1)), ("bits4", 7, U8), ("bits1", -1, S8)):
        _, operations = inputs_of(kind, columns, 1)
        weight = np.full((3, columns, 1, 5), code, np.int8)
        convolution = Convolution(
            inputs=("codes",), output="y", weight=weight, weight_bits=int(encoding[-1]),
            bias=np.zeros(3, np.int32), padding_codes=np.zeros(columns, np.int32),
            windows=Windows(kernel=(1, 5)),
        )  # fmt: skip
        given = TensorType((columns, 1, 5), S8 if kind is S8 else U8)
        program = Program(
            inputs={"x": given}, operations=(*operations, convolution), outputs=("y",)
        )
        check_here(program, encoding, tmp_path / encoding / str(code))


@given(
    outputs=st.integers(1, 40), columns=st.integers(1, 90), groups=st.integers(1, 3),
    num_bits=st.sampled_from([1, 2, 4]), seed=st.integers(0, 99),
)  # fmt: skip
def test_bytes_are_those_of_the_words(
    outputs: int, columns: int, groups: int, num_bits: int, seed: int
) -> None:
    values = np.array(WEIGHTS[f"bits{num_bits}"][-1], np.int8)
    weights = np.random.default_rng(seed).choice(values, (outputs * groups, columns))
    words = field_words(weights, num_bits, groups, 16)
    assert words.nbytes == field_bytes(weights.shape, num_bits, groups)
    if num_bits < 4:
        planes = planes_of(Levels(low=0, high=1))
        words = counted_words(weights, num_bits, planes)
        assert words.nbytes == counted_bytes(weights.shape, num_bits)


@pytest.mark.parametrize("num_bits", [1, 2, 4])
@pytest.mark.parametrize("largest", [0, 1, 15, 128, 255])
def test_as_many_inputs_as_16_bits_hold(num_bits: int, largest: int) -> None:
    per_word = 16 // num_bits
    most, field = most_inputs(num_bits, largest), 2**num_bits - 1
    assert most % per_word == 0
    assert 0 < most < 2**16
    assert most * field * largest < 2**15
    assert (most + per_word) * field * max(largest, 1) >= 2**15


def test_weights_take_a_bit_each() -> None:
    program = chain("bits1")
    kept = json.loads(c_model(program, "bits1").files["model.json"])["weights"]
    first, last = (kept[name]["bytes"] for name in ("sums", "scores"))
    assert first == 4 * (2 + 17 * 2)  # 30 inputs: two words for two outputs
    assert last == 4 * (1 + 5 * 25)  # 792 bits, in 25 words
    assert {one["encoding"] for one in kept.values()} == {"bits1"}


def test_auto_takes_bits_where_they_are_smaller() -> None:
    kept = json.loads(c_model(large(), "auto").files["model.json"])["weights"]
    assert {one["encoding"] for one in kept.values()} == {"bits1"}
    few = json.loads(c_model(chain("bits1"), "dense").files["model.json"])["weights"]
    assert {one["encoding"] for one in few.values()} == {"dense"}


def test_auto_keeps_a_layer_dense_that_would_be_slower() -> None:
    """Of 25 inputs, most instructions would prepare them."""
    random = np.random.default_rng(0)
    values = np.array([-1, 1], np.int8)
    first = Convolution(
        inputs=("x",), output="sums", weight=random.choice(values, (16, 1, 5, 5)), weight_bits=1,
        bias=np.zeros(16, np.int32), padding_codes=np.zeros(1, np.int32),
        windows=Windows(kernel=(5, 5)),
    )  # fmt: skip
    few = Threshold(
        inputs=("sums",), output="few", thresholds=np.zeros((1, 1), int),
        signs=np.ones(1, np.int8), low=0, step=1, kind=U8,
    )  # fmt: skip
    row = Reshape(inputs=("few",), output="row", shape=(16 * 16 * 16,))
    last = Linear(
        inputs=("row",), output="y", weight=random.choice(values, (64, 4096)), weight_bits=1,
        bias=np.zeros(64, np.int32),
    )  # fmt: skip
    program = Program(
        inputs={"x": TensorType((1, 20, 20), U8)},
        operations=(first, few, row, last),
        outputs=("y",),
    )
    assert chosen(program, "auto") == {"sums": "dense", "y": "bits1"}
    assert chosen(program, "smallest") == {"sums": "bits1", "y": "bits1"}


def large() -> Program:
    """Return a layer whose bytes are more than the code that counts."""
    few = Threshold(
        inputs=("x",), output="few", thresholds=np.array([[100]]),
        signs=np.ones(1, np.int8), low=0, step=1, kind=U8,
    )  # fmt: skip
    random = np.random.default_rng(0)
    weight = random.choice(np.array([-1, 1], np.int8), (64, 576))
    linear = Linear(
        inputs=("few",), output="y", weight=weight, weight_bits=1, bias=np.zeros(64, np.int32)
    )
    return Program(inputs={"x": TensorType((576,), U8)}, operations=(few, linear), outputs=("y",))


@pytest.mark.parametrize(
    ("weight", "kind", "encoding", "message"),
    [
        ([[1, 0, -1]], U8, "bits1", r"but weights: codes\[0, 1\] is 0, -1 and 1 allowed"),
        ([[2, 0, -1]], U8, "bits2", r"but weights: codes\[0, 0\] is 2, -2..1 allowed"),
        ([[1, 1, -1]], S16, "bits1", "but its inputs have 16 bits"),
    ],
)
def test_layers_that_have_no_such_bits_are_refused(
    weight: list[list[int]], kind: Any, encoding: str, message: str
) -> None:
    linear = Linear(
        inputs=("x",), output="y", weight=np.array(weight, np.int8), weight_bits=8,
        bias=np.zeros(1, np.int32),
    )  # fmt: skip
    program = Program(inputs={"x": TensorType((3,), kind)}, operations=(linear,), outputs=("y",))
    with pytest.raises(UsageError, match=rf"encoding\['y'\]: '{encoding}' given, {message}"):
        c_model(program, {"y": encoding})


@pytest.mark.long
@pytest.mark.parametrize("board", [engine("c-m3"), engine("c-m4")])
def test_counting_takes_fewer_instructions_than_bytes(board: str, tmp_path: Path) -> None:
    found = []
    for encoding in ("dense", "bits1"):
        write_files(c_model(large(), encoding).files, tmp_path / encoding)
        found.append(measure(tmp_path / encoding, BOARDS[board]).instructions)
    assert found[1] < 0.7 * found[0]


@pytest.mark.long
@pytest.mark.parametrize("encoding", WEIGHTS)
@pytest.mark.parametrize("seed", range(500, 512, 2))
@each_compiler
def test_sanitizers_have_nothing_to_say(
    compiler: str, encoding: str, seed: int, tmp_path: Path
) -> None:
    program = layer(seed, encoding)
    check_sanitized(program, c_model(program, {"sums": encoding}).files, tmp_path, compiler)


@needs_compiler
@pytest.mark.long
@pytest.mark.parametrize(
    ("config", "encoding"), [("binary", "bits1"), ("twn", "bits2"), ("w4a4", "bits4")]
)
def test_trained_networks_of_few_bits(config: str, encoding: str, tmp_path: Path) -> None:
    """LeNet with the rules of its configs, trained, exported and verified tensor by tensor."""
    lab = make_lab(tmp_path)
    run = ("--problem=MNIST", "--exp_id=0")
    trained = lab.run(
        *("--problem=MNIST", "--topology=LeNet", f"--config={config}", "--data.source=synthetic"),
        *("--experiment.epochs=3", "--experiment.threads=1"),
    )
    assert trained.returncode == 0, trained.stderr
    exported = lab.run("export", *run, "--to=c", f"--encoding={encoding}")
    assert exported.returncode == 0, exported.stderr
    folder = lab.problems / "MNIST" / "logs" / "exp000" / "fold0" / "deploy" / "best" / FOLDER
    kept = json.loads((folder / "model.json").read_text())["weights"]
    of_layers = [one["encoding"] for one in kept.values()]
    assert of_layers.count(encoding) >= 2
    assert {*of_layers} <= {"dense", encoding}
    engines = [name for name in ("c-m0", "c-m3", "c-m4") if not absent(BOARDS[name].programs)]
    backends = ",".join(["c", *engines])
    verified = lab.run("verify", *run, f"--backends={backends}", "--samples=3")
    assert verified.returncode == 0, verified.stdout + verified.stderr
