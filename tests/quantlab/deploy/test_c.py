"""C: every tensor on this machine, memory that is the caller's, and the model's own test."""

import ctypes
from collections.abc import Mapping
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from quantlab.deploy.c.artefact import FOLDER, files, host
from quantlab.deploy.c.compiler import compile_model
from quantlab.deploy.c.model import c_model
from quantlab.deploy.folder import write_files
from quantlab.deploy.verification import open_engines
from quantlab.errors import UsageError, VerificationError
from quantlab.integer.operations import Convolution, Linear, Requantize, Windows
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S8, S16, S32, U8, TensorType
from quantlab.integer.verify import compare
from tests.quantlab.deploy.sanitizers import check_sanitized, each_compiler
from tests.quantlab.integer.oracle import evaluate
from tests.quantlab.integer.programs import Author, beyond_the_border, inputs

needs_compiler = pytest.mark.skipif(which("cc") is None, reason="no C compiler: cc")
GUARD = 16


def check(program: Program, batch: Mapping[str, NDArray[Any]], folder: Path) -> None:
    parts = {"network": program}
    write_files(files(parts, {}), folder)
    (found,) = compare(program, {"c": host(parts, folder)}, [batch])
    assert found.num_mismatches == 0, f"{found.first}\n{program}"
    assert found.num_values > 0


@needs_compiler
@pytest.mark.parametrize("seed", [3, 9, 10, 11])
def test_some_random_programs(seed: int, tmp_path: Path) -> None:
    program = Author(seed).program(12)
    check(program, inputs(program, 2, seed), tmp_path)


@needs_compiler
def test_a_requantization_with_a_shift_for_each_place(tmp_path: Path) -> None:
    """As behind an average whose divisor depends on the place; channels share them."""
    shift = np.arange(2, 14).reshape(1, 3, 4)
    requantize = Requantize(
        inputs=("x",), output="y", multiplier=np.full(shift.shape, 3000, np.int32),
        offset=np.arange(12).reshape(shift.shape) * 1000, shift=shift, low=-(2**31),
        high=2**31 - 1, kind=S32,
    )  # fmt: skip
    program = Program(
        inputs={"x": TensorType((2, 3, 4), U8)}, operations=(requantize,), outputs=("y",)
    )
    raw = np.random.default_rng(0).integers(0, 256, (5, 2, 3, 4), np.uint8)
    check(program, {"x": raw}, tmp_path)


@needs_compiler
def test_an_input_that_nothing_reads(tmp_path: Path) -> None:
    program = Author(3).program(2)
    kinds = {"x": program.inputs["x"], "a": TensorType((4,), U8), "b": TensorType((2,), S16)}
    several = Program(inputs=kinds, operations=program.operations, outputs=program.outputs)
    batch = {"a": np.zeros((2, 4), np.uint8), "b": np.ones((2, 2), np.int16)}
    check(several, {**inputs(program, 2, 0), **batch}, tmp_path)


@needs_compiler
def test_a_pooling_window_of_padding_alone_gives_the_least_integer(tmp_path: Path) -> None:
    program = beyond_the_border()
    check(program, inputs(program, 2, 0), tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 300))
def test_many_random_programs(seed: int, tmp_path: Path) -> None:
    program = Author(seed).program(1 + seed % 16)
    check(program, inputs(program, 2, seed), tmp_path)


def layer(seed: int) -> Program:
    """A convolution of many or few channels, and codes of its sums."""
    random = np.random.default_rng(seed)

    def any_of(*values: int) -> int:
        return int(random.choice(values))

    sizes = (1, 2, 3, 4, 5, 31, 32, 33, 64, 65, 129, 255, 257, 511, 513)
    groups = any_of(1, 1, 1, 2, 3)
    channels, outputs = any_of(*sizes), any_of(*sizes[:11])
    if any_of(0, 1, 2) == 0:  # depthwise
        groups, outputs = channels, channels
    channels, outputs = (-(-size // groups) * groups for size in (channels, outputs))
    kernel = (any_of(1, 2, 3), any_of(1, 3))
    kind = (U8, S8, S16)[any_of(0, 1, 2)]
    windows = Windows(
        kernel=kernel,
        stride=(any_of(1, 2), any_of(1, 2)),
        padding=(any_of(0, 1), any_of(0, 2), any_of(0, 1), any_of(0, 1)),
        dilation=(1, any_of(1, 2)),
    )
    weight = random.integers(-128, 128, (outputs, channels // groups, *kernel), np.int8)
    weight[random.random(weight.shape) < any_of(0, 0, 50, 99) / 100] = 0
    if kind is S16:
        weight //= 64  # so that sums have 32 bits
    code = any_of(0, kind.minimum, 3)
    convolution = Convolution(
        inputs=("x",), output="sums", weight=weight, weight_bits=8,
        bias=random.integers(-999, 999, outputs), windows=windows, groups=groups,
        padding_codes=np.full(channels, code),
    )  # fmt: skip
    shift = random.integers(34, 48, (outputs, 1, 1))
    codes = Requantize(
        inputs=("sums",), output="y", multiplier=random.integers(2**29, 2**30, (outputs, 1, 1)),
        offset=random.integers(-(2**40), 2**40, (outputs, 1, 1)), shift=shift,
        low=(low := any_of(-128, 0)), high=127 if low else 255, kind=S8 if low else U8,
    )  # fmt: skip
    types = {"x": TensorType((channels, any_of(3, 5), any_of(5, 6)), kind)}
    return Program(inputs=types, operations=(convolution, codes), outputs=("y",))


def of_type(program: Program, seed: int) -> dict[str, NDArray[Any]]:
    """Two samples of all numbers that the input can have."""
    (kind,) = program.inputs.values()
    random = np.random.default_rng(seed)
    ends = kind.kind.minimum, kind.kind.maximum + 1
    return {"x": random.integers(*ends, (2, *kind.shape)).astype(kind.kind.dtype)}


@needs_compiler
@pytest.mark.parametrize("seed", [0, 4, 7])
def test_some_layers_of_any_size(seed: int, tmp_path: Path) -> None:
    program = layer(seed)
    check(program, of_type(program, seed), tmp_path)


@needs_compiler
@pytest.mark.long
@pytest.mark.parametrize("seed", range(10, 130))
def test_many_layers_of_any_size(seed: int, tmp_path: Path) -> None:
    program = layer(seed)
    check(program, of_type(program, seed), tmp_path)


@pytest.mark.long
@each_compiler
@pytest.mark.parametrize("seed", range(300, 330))
def test_sanitizers_have_nothing_to_say(seed: int, compiler: str, tmp_path: Path) -> None:
    program = Author(seed).program(14) if seed % 2 else layer(seed)
    check_sanitized(program, c_model(program).files, tmp_path, compiler)


def scores() -> Program:
    """A program whose output are several numbers."""
    whole = Author(7).program(9)
    *operations, last = whole.operations
    return Program(inputs=whole.inputs, operations=tuple(operations), outputs=last.inputs)


class Caller:
    """Calls a model as a user's program does, with guards around all memory."""

    def __init__(self, program: Program, folder: Path, fill: int) -> None:
        model = c_model(program)
        write_files(model.files, folder)
        library = folder / "model.so"
        compile_model(folder, library, ["cc", "-shared", "-fPIC"])
        self.library = ctypes.CDLL(str(library))
        self.program, self.fill = program, fill
        self.arena = self.guarded(model.arena_size, 0)

    def guarded(self, size: int, offset: int) -> NDArray[np.uint8]:
        """Memory that begins `offset` bytes behind a multiple of 8, between two guards."""
        raw = np.full(size + 2 * GUARD + 8, self.fill, np.uint8)
        begin = GUARD + offset + -raw.ctypes.data % 8
        return raw[begin - GUARD : begin + size + GUARD]

    def run(self, x: NDArray[Any], offset: int, *, size: int | None = None) -> tuple[int, bytes]:
        """Return the code and the bytes of the output, which lie at an offset."""
        (name,) = self.program.outputs
        kind = self.program.types[name]
        given = self.guarded(x.nbytes, offset)
        given[GUARD:-GUARD] = np.frombuffer(x.tobytes(), np.uint8)
        nbytes = int(np.prod(kind.shape)) * np.dtype(kind.kind.dtype).itemsize
        output = self.guarded(nbytes, offset)
        code = self.library.ql_run(
            self.at(self.arena),
            *(self.at(given), ctypes.c_size_t(x.nbytes if size is None else size)),
            *(self.at(output), ctypes.c_size_t(nbytes)),
        )
        for memory in (self.arena, given, output):
            for guard in (memory[:GUARD], memory[-GUARD:]):
                assert (guard == self.fill).all()
        return code, output[GUARD:-GUARD].tobytes()

    @staticmethod
    def at(memory: NDArray[np.uint8]) -> ctypes.c_void_p:
        return ctypes.c_void_p(memory.ctypes.data + GUARD)


@needs_compiler
@pytest.mark.parametrize("fill", [0x55, 0xAA])
@pytest.mark.parametrize("offset", [0, 1, 3])
def test_memory_is_the_callers_and_nothing_is_expected_of_it(
    fill: int, offset: int, tmp_path: Path
) -> None:
    program = scores()
    batch = inputs(program, 1, 7)
    (name,) = program.outputs
    expected = evaluate(program, batch)[name][0]
    assert expected.ndim == 1
    caller = Caller(program, tmp_path, fill)
    image = np.ascontiguousarray(batch["x"][0].transpose(1, 2, 0))
    for _ in range(2):
        code, output = caller.run(image, offset)
        assert code == 0
        found = np.frombuffer(output, program.types[name].kind.dtype)
        assert found.tolist() == expected.tolist()


@needs_compiler
def test_a_wrong_size_is_an_error_code_and_nothing_is_written(tmp_path: Path) -> None:
    program = scores()
    caller = Caller(program, tmp_path, 0x55)
    image = np.ascontiguousarray(inputs(program, 1, 7)["x"][0].transpose(1, 2, 0))
    code, output = caller.run(image, 0, size=image.nbytes - 1)
    assert code == 1
    assert set(output) == {0x55}
    assert (caller.arena == 0x55).all()


@needs_compiler
def test_the_models_own_test_finds_a_weight_that_is_not_the_programs(tmp_path: Path) -> None:
    program = scores()
    (name,) = program.outputs
    kind = program.types[name]
    size = int(np.prod(kind.shape)) * np.dtype(kind.kind.dtype).itemsize

    def selftest(folder: Path, caller: Caller) -> int:
        given = caller.guarded(int(np.prod(program.inputs["x"].shape)), 0)
        memory = [caller.at(one) for one in (caller.arena, given, caller.guarded(size, 0))]
        code: int = caller.library.ql_selftest(*memory)
        return code

    assert selftest(tmp_path, Caller(program, tmp_path / "whole", 0x55)) == 0
    changed = Caller(program, tmp_path / "changed", 0x55)
    headers = sorted((tmp_path / "changed" / "headers").iterdir())
    header = [path for path in headers if "_bias[" in path.read_text()][-1]
    text = header.read_text()
    place = text.index("_bias[")
    begin = text.index("{\n    ", place) + 6
    header.write_text(f"{text[:begin]}100000 + {text[begin:]}")
    library = tmp_path / "changed" / "other.so"
    compile_model(tmp_path / "changed", library, ["cc", "-shared", "-fPIC"])
    changed.library = ctypes.CDLL(str(library))
    assert selftest(tmp_path, changed) == 2


@needs_compiler
def test_a_model_without_an_arena(tmp_path: Path) -> None:
    """Bytes go straight from the caller's input to the caller's output."""
    weight = np.arange(12, dtype=np.int8).reshape(3, 4)
    layer = Linear(
        inputs=("x",), output="sums", weight=weight, weight_bits=8, bias=np.zeros(3, np.int32)
    )
    codes = Requantize(
        inputs=("sums",), output="y", multiplier=np.array(3), offset=np.array(0),
        shift=np.array(7), low=-128, high=127, kind=S8,
    )  # fmt: skip
    program = Program(inputs={"x": TensorType((4,), U8)}, operations=(layer, codes), outputs=("y",))
    assert c_model(program).arena_size == 0
    raw = np.random.default_rng(0).integers(0, 256, (5, 4), np.uint8)
    check(program, {"x": raw}, tmp_path)


@needs_compiler
def test_a_source_that_does_not_compile_is_told(tmp_path: Path) -> None:
    parts = {"network": Author(3).program(2)}
    write_files(files(parts, {}), tmp_path)
    source = tmp_path / FOLDER / "model.c"
    source.write_text(source.read_text() + "int\n")
    with pytest.raises(VerificationError, match=r"C does not compile: .*model\.c"):
        host(parts, tmp_path)
    with pytest.raises(VerificationError, match="delete the file to have it written anew"):
        open_engines(["c"], parts, tmp_path)


def test_a_compiler_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quantlab.deploy.table.which", lambda program: None)
    with pytest.raises(UsageError, match="--backends: c needs cc; sudo apt-get install gcc"):
        open_engines("c", {"network": Author(3).program(2)}, "nowhere")
