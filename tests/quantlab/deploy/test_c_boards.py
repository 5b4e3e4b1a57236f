"""C on emulated boards: every tensor, what does not fit, faults, instructions and stack."""

import subprocess
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from quantlab.deploy.artefact import Options
from quantlab.deploy.c.artefact import FOLDER, files, on_board
from quantlab.deploy.c.boards import emulator
from quantlab.deploy.c.boards.measure import Measured, measure
from quantlab.deploy.c.boards.program import compiled
from quantlab.deploy.c.boards.selftest import selftest
from quantlab.deploy.c.boards.table import BOARDS
from quantlab.deploy.c.model import c_model
from quantlab.deploy.c.traced import Traced
from quantlab.deploy.folder import write_files
from quantlab.deploy.verification import open_engines, verify
from quantlab.errors import UsageError, VerificationError
from quantlab.integer.operations import Linear
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import U8, TensorType
from quantlab.integer.verify import Comparison, compare
from tests.docs.markdown import read_page
from tests.models.hashes import NETWORKS, lowered
from tests.quantlab.deploy.boards import PAGE, engine, rows
from tests.quantlab.integer.programs import Author, inputs

boards = pytest.mark.parametrize("name", [engine(name) for name in BOARDS])
each_emulator = pytest.mark.parametrize("name", [engine(n) for n in ("c-m3", "c-rv32", "c-msp430")])
most_long = pytest.mark.parametrize("name", [engine(name, ("c-m3",)) for name in BOARDS])
on_m0 = pytest.mark.parametrize("name", [engine("c-m0")])
on_m3 = pytest.mark.parametrize("name", [engine("c-m3")])


def compared(
    name: str,
    program: Program,
    batch: Mapping[str, NDArray[Any]],
    folder: Path,
    options: Options | None = None,
) -> Comparison:
    parts = {"network": program}
    write_files(files(parts, options or {}), folder)
    (found,) = compare(program, {name: on_board(BOARDS[name], parts, folder)}, [batch])
    return found


trained = cache(lowered)
LARGE = [name for name in BOARDS if name not in ("c-m0", "c-msp430")]


def pixels(network: str, count: int) -> Mapping[str, NDArray[Any]]:
    shape, _ = NETWORKS[network]
    return {"input": np.random.default_rng(0).integers(0, 256, (count, *shape), np.uint8)}


@boards
@pytest.mark.parametrize("seed", [3, 11])
def test_some_random_programs(name: str, seed: int, tmp_path: Path) -> None:
    program = Author(seed).program(12)
    found = compared(name, program, inputs(program, 3, seed), tmp_path)
    assert found.num_mismatches == 0, f"{found.first}\n{program}"
    assert found.num_samples == 3
    assert found.num_values > 2000


@pytest.mark.long
@boards
@pytest.mark.parametrize("seed", range(300, 310))
def test_more_random_programs(name: str, seed: int, tmp_path: Path) -> None:
    program = Author(seed).program(1 + seed % 16)
    found = compared(name, program, inputs(program, 2, seed), tmp_path)
    assert found.num_mismatches == 0, f"{found.first}\n{program}"


@pytest.mark.parametrize("name", [engine(name) for name in BOARDS if name != "c-msp430"])
def test_a_trained_network(name: str, tmp_path: Path) -> None:
    found = compared(name, trained("lenet_w4a4"), pixels("lenet_w4a4", 16), tmp_path)
    assert found.num_mismatches == 0, found.first


@pytest.mark.long
@pytest.mark.parametrize("name", [engine(name) for name in LARGE])
def test_a_deep_trained_network(name: str, tmp_path: Path) -> None:
    found = compared(name, trained("resnet20_w4a4"), pixels("resnet20_w4a4", 4), tmp_path)
    assert found.num_mismatches == 0, found.first


@pytest.mark.long
@pytest.mark.parametrize("name", [engine("c-msp430")])
def test_what_16_bits_cannot_address_does_not_fit(name: str, tmp_path: Path) -> None:
    for network, expected in (
        ("lenet_w4a4", r"at least 65,536 bytes of FLASH needed, 48,000 available"),
        ("resnet20_w4a4", r"at least \d{2,3},\d{3} bytes of RAM needed, 16,384 available"),
    ):
        with pytest.raises(UsageError, match=rf"^MSP430 \(sim\): .*{expected}"):
            compared(
                name,
                trained(network),
                pixels(network, 1),
                tmp_path / network,
                {"encoding": "dense"},
            )


@on_m3
def test_more_samples_than_one_run_takes(name: str) -> None:
    program = small()
    (found,) = verify(program, [inputs(program, 35, 0)], name)
    assert (found.engine, found.num_samples, found.num_mismatches) == (name, 35, 0)


@on_m3
def test_a_weight_that_is_not_the_programs_is_found(name: str, tmp_path: Path) -> None:
    program, parts = small(), {"network": small()}
    write_files(files(parts, {}), tmp_path)
    header = next((tmp_path / FOLDER / "headers").iterdir())
    text = header.read_text()
    begin = text.index("{\n    ", text.index("_weights[")) + 6
    header.write_text(f"{text[:begin]}1 + {text[begin:]}")
    running = {name: on_board(BOARDS[name], parts, tmp_path)}
    (found,) = compare(program, running, [inputs(program, 2, 0)])
    assert found.num_mismatches == 2
    assert str(found.first).startswith("layer 'fc', tensor 'y'[0, 0]: ")


def small(outputs: int = 3, channels: int = 4) -> Program:
    """Return one layer."""
    weight = np.arange(outputs * channels).reshape(outputs, channels).astype(np.int8)
    layer = Linear(
        inputs=("x",), output="y", layer="fc", weight=weight, weight_bits=8,
        bias=np.zeros(outputs, np.int32),
    )  # fmt: skip
    return Program(inputs={"x": TensorType((channels,), U8)}, operations=(layer,), outputs=("y",))


@on_m0
def test_what_does_not_fit_says_how_much_is_needed_and_there(name: str, tmp_path: Path) -> None:
    for shape, expected in (
        ((7000, 40), r"28\d,\d{3} bytes of FLASH needed, 262,144 available; "),
        ((5000, 4), r"4\d,\d{3} bytes of RAM needed, 16,384 available"),
    ):
        with pytest.raises(UsageError, match=rf"Cortex-M0\+ \(microbit\): .*{expected}"):
            open_engines(["c-m0"], {"network": small(*shape)}, tmp_path / str(shape))


@on_m3
def test_a_source_that_does_not_compile_is_told(name: str, tmp_path: Path) -> None:
    parts = {"network": small()}
    write_files(files(parts, {}), tmp_path)
    source = tmp_path / FOLDER / "model.c"
    source.write_text(source.read_text() + "int\n")
    with pytest.raises(VerificationError, match=r"C does not compile: .*model\.c"):
        on_board(BOARDS[name], parts, tmp_path)


@on_m3
def test_a_c_library_that_is_missing_is_named(name: str, tmp_path: Path) -> None:
    board, parts = BOARDS[name], {"network": small()}
    write_files(files(parts, {}), tmp_path)
    command = [board.compiler, "-print-file-name=include"]
    own = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    for flags in (["-nostdinc", f"-I{own}", "-ffreestanding"], ["--specs=missing.specs"]):
        without = replace(board, flags=(*board.flags, *flags))
        with pytest.raises(UsageError, match=r"gcc has no C library; sudo .* libnewlib-arm-none"):
            on_board(without, parts, tmp_path)


def test_the_page_has_the_boards() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [row for row in rows() if row not in page] == []


@pytest.mark.parametrize("name", [engine("c-m4")])
def test_the_pages_measurement_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_files(c_model(small()).files, Path("board"))
    blocks = (block.text for block in read_page(PAGE).blocks if block.language == "python")
    (example,) = (text for text in blocks if "measure(" in text)
    assert f'BOARDS["{name}"]' in example
    exec(compile(example, "c.md", "exec"), {"__name__": "__example__"})
    instructions, stack_bytes, flash_bytes = map(int, capsys.readouterr().out.split())
    assert instructions > 100
    assert stack_bytes > 50
    assert flash_bytes > 100


def test_programs_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quantlab.deploy.table.which", lambda program: None)
    expected = (
        "--backends: c-m3 needs arm-none-eabi-gcc, qemu-system-arm; sudo apt-get install "
        "gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm"
    )
    with pytest.raises(UsageError, match=expected):
        open_engines("c-m3", {"network": small()}, "nowhere")


# A model written by hand, of which it is known what it does.
HEADER = """#include <stddef.h>
#include <stdint.h>
#define QL_ARENA_SIZE 0
#define QL_X_SIZE 5
#define QL_Y_SIZE 3
int ql_run(void* arena, const void* x, size_t x_size, void* y, size_t y_size);
"""
SOURCE = """#include "model.h"
#define counter uint32_t
#if defined(__riscv)
#define LOW "+r"
#define REPEAT "1: addi %%0, %%0, -1\\nbnez %%0, 1b"
#elif defined(__MSP430__)
#undef counter
#define counter uint16_t
#define LOW "+r"
#define REPEAT "1: dec %%0\\njnz 1b"
#else
#define LOW "+l"
#define REPEAT ".syntax unified\\n1: subs %%0, %%0, #1\\nbne 1b"
#endif
int ql_run(void* arena, const void* x, size_t x_size, void* y, size_t y_size) {
  volatile uint8_t on_the_stack[%(stack)d];
  counter rounds = UINT32_C(%(rounds)d);
  (void)arena, (void)x, (void)x_size, (void)y, (void)y_size;
  for (uint32_t i = 0; i < UINT32_C(%(written)d); i++) on_the_stack[i] = 1;
  __asm__ volatile("" : : "r"(on_the_stack) : "memory");
  while (%(endless)d && on_the_stack[0] != 0) {
  }
  __asm__ volatile(REPEAT : LOW (rounds) : : "cc");
  return %(code)d;
}
"""


def by_hand(
    folder: Path,
    *,
    stack: int = 1,
    written: int = 1,
    rounds: int = 1,
    code: int = 0,
    is_endless: bool = False,
) -> Path:
    """Write a model that takes `stack` bytes and writes to some of them, runs two instructions
    `rounds` times and returns a code."""
    numbers = {"stack": stack, "written": written, "rounds": rounds, "code": code}
    source = SOURCE % {**numbers, "endless": int(is_endless)}
    manifest = b'{"inputs": {"x": "u8[5]"}, "outputs": {"y": "u8[3]"}}'
    texts = {"model.h": HEADER.encode(), "model.c": source.encode(), "model.json": manifest}
    write_files(texts, folder)
    return folder


@boards
def test_instructions_and_stack_are_those_of_the_model(name: str, tmp_path: Path) -> None:
    found = measure(by_hand(tmp_path, stack=1000, rounds=60_000), BOARDS[name])
    assert 0 <= found.instructions - 120_000 <= 100
    assert 0 <= found.stack_bytes - 1000 <= 64


@pytest.mark.long
@pytest.mark.parametrize("name", [engine(name) for name in BOARDS if name != "c-msp430"])
def test_clocks_go_round(name: str, tmp_path: Path) -> None:
    """SysTick has 24 bits: of 62.5 instructions, on one board, at most."""
    found = measure(by_hand(tmp_path, rounds=550 * 10**6), BOARDS[name])
    assert 0 <= found.instructions - 1100 * 10**6 <= 150


@pytest.mark.parametrize("name", [engine("c-m55")])
def test_helium_is_switched_on(name: str, tmp_path: Path) -> None:
    vectors = r"""vmov.i32 q0, #5\n vmul.i32 q0, q0, q0\n vmov.32 %0, q0[2]"""
    check = f"""uint32_t lane;
  __asm__ volatile("{vectors}" : "=r"(lane) : : "q0");
  return lane == 25 ? 0 : 7;"""
    source = by_hand(tmp_path) / "model.c"
    source.write_text(source.read_text().replace("return 0;", check))
    assert measure(tmp_path, BOARDS[name]).instructions < 1000


@on_m3
def test_tracing_is_not_measured(name: str, tmp_path: Path) -> None:
    write_files(c_model(small()).files, tmp_path)
    found = measure(tmp_path, BOARDS[name])
    assert found == measure(tmp_path, BOARDS[name])
    assert isinstance(found, Measured)
    assert 100 < found.instructions < 3000
    assert 64 < found.stack_bytes < 1500


@most_long
def test_golden_vectors_hold_on_the_board(name: str, tmp_path: Path) -> None:
    program = small()
    vectors = inputs(program, 3, 0)
    write_files(c_model(program, vectors=vectors).files, tmp_path)
    selftest(tmp_path, BOARDS[name])
    header = tmp_path / "headers" / "input.h"
    text = header.read_text()
    last = text.rindex("\n", 0, text.index("}\n};", text.index("ql_expected_")) - 5)
    header.write_text(f"{text[:last]} 1 + {text[last:].lstrip()}")
    with pytest.raises(VerificationError, match=r"\): ql_selftest returned 2, 0 expected$"):
        selftest(tmp_path, BOARDS[name])


@most_long
def test_flash_is_what_the_linker_places(name: str, tmp_path: Path) -> None:
    """A model that is larger by so many bytes of constants takes so many more; RAM counts not."""
    small_one = measure(by_hand(tmp_path / "small"), BOARDS[name]).flash_bytes
    source = by_hand(tmp_path / "large") / "model.c"
    more = "const uint8_t table[1000] = {1};\nuint8_t memory[100];\n"
    source.write_text(source.read_text() + more)
    assert 0 < small_one < 400
    assert measure(tmp_path / "large", BOARDS[name]).flash_bytes == small_one + 1000


@boards
def test_a_stack_that_is_too_small_is_a_fault(name: str, tmp_path: Path) -> None:
    board = BOARDS[name]
    message = f"stopped with a fault; the stack has {board.stack_size:,} bytes"
    with pytest.raises(VerificationError, match=message):
        measure(by_hand(tmp_path, stack=board.stack_size, written=board.stack_size), board)


@each_emulator
def test_a_models_code_is_told(name: str, tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match=r"\): ql_run returned 2, 0 expected$"):
        measure(by_hand(tmp_path, code=2), BOARDS[name])


@each_emulator
def test_a_file_that_is_missing_and_an_endless_program_are_told(name: str, tmp_path: Path) -> None:
    board = BOARDS[name]
    by_hand(tmp_path / "missing")
    program = compiled(board, tmp_path / "missing", ["x"], ["y"], ["trace.c", "verify.c"])
    with pytest.raises(VerificationError, match="a file of the emulator's could not be read"):
        emulator.run(board, program, {}, [], 10)
    by_hand(tmp_path / "endless", is_endless=True)
    program = compiled(board, tmp_path / "endless", ["x"], ["y"], ["measure.c"])
    with pytest.raises(VerificationError, match="did not end in 1 seconds"):
        emulator.run(board, program, {}, [], 1)


@each_emulator
def test_a_program_that_the_emulator_does_not_take_is_told(name: str) -> None:
    with pytest.raises(
        VerificationError, match=rf"^{BOARDS[name].core} \({BOARDS[name].machine}\): "
    ):
        emulator.run(BOARDS[name], b"nothing", {}, [], 2)


def test_outputs_that_are_not_what_was_traced_and_elements_that_never_came() -> None:
    program = small()
    traced = Traced(program, c_model(program).tensors, 1)
    number = list(program.types).index("y")
    traced.keep(number, 0, 0, np.array([5, 6], np.int32))
    traced.give("y", 0, np.array([5, 6, 7], np.int32))
    with pytest.raises(VerificationError, match=r"output 'y'\[0, 2\]: 7 given by ql_run, \d+ bef"):
        dict(traced.values())
    traced.keep(number, 0, 2, np.array([7], np.int32))
    assert dict(traced.values())["y"].tolist() == [[5, 6, 7]]
