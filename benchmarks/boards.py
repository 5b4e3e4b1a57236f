"""Any model in C on an emulated board: bytes, instructions and stack, measured alike for all."""

import dataclasses
import re
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from quantlab.deploy.c.boards.emulator import run
from quantlab.deploy.c.boards.table import KIB, SUPPORT, Board
from quantlab.deploy.c.interface import size_name
from quantlab.deploy.c.kernels.choice import Encoding
from quantlab.deploy.c.kernels.table import AUTO
from quantlab.deploy.c.model import c_model
from quantlab.deploy.folder import write_files
from quantlab.integer.program import Program

_SECONDS = 600
_SECTIONS = ("-O2", "-ffunction-sections", "-fdata-sections")


@dataclass(frozen=True, kw_only=True)
class Sources:
    """A model in C.

    files: that are compiled. includes: folders of headers. headers: that the call needs. call: an
    expression of `arena`, `input` and `output` that runs the model and is 0 if all went well.
    arena_bytes, input_bytes, output_bytes: of the memory that the caller gives. flags: of the
    compiler, behind the board's.
    """

    files: Sequence[Path]
    includes: Sequence[Path]
    headers: Sequence[str]
    call: str
    arena_bytes: int
    input_bytes: int
    output_bytes: int
    definitions: Sequence[str] = ()
    flags: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of one inference. flash_bytes: of code and constants that the call reaches, without the C
    library. stack_bytes: the most that were in use. instructions: to within a tick of 40."""

    flash_bytes: int
    stack_bytes: int
    instructions: int


def sources_of(
    program: Program, folder: Path, *, encoding: Encoding = AUTO, is_test: bool = False
) -> Sources:
    """Write our model into a folder. is_test: whether its call is its own test, which compares the
    outputs with the interpreter's."""
    model = c_model(program, encoding)
    write_files(model.files, folder)
    sizes = dict(re.findall(r"#define (\w+_SIZE) (\d+)", model.files["model.h"].decode()))
    (given,), (made,) = program.inputs, program.outputs
    call = f"ql_run(arena, input, {size_name(given)}, output, {size_name(made)})"
    if is_test:
        call = "ql_selftest(arena, input, output)"
    return Sources(
        files=[folder / "model.c", *sorted((folder / "runtime").glob("*.c"))],
        includes=[folder],
        headers=["model.h"],
        call=call,
        arena_bytes=model.arena_size,
        input_bytes=int(sizes[size_name(given)]),
        output_bytes=int(sizes[size_name(made)]),
    )


def cost(board: Board, sources: Sources) -> Cost:
    """Compile a model with -O2 and run it. Raises RuntimeError if it does not compile, and
    VerificationError if its call is not 0."""
    # Some keep their tensors on the stack.
    memory = sources.arena_bytes + sources.input_bytes + sources.output_bytes
    roomy = dataclasses.replace(board, stack_size=board.ram.size - memory - 64 * KIB)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        objects = _objects(board, sources, directory)
        program = _linked(roomy, objects, directory)
        (measured,) = run(roomy, program, {}, ["measured"], _SECONDS)
        ticks, stack_bytes = struct.unpack("<QI", measured)
        return Cost(
            flash_bytes=_flash_bytes(board, objects, directory),
            stack_bytes=stack_bytes,
            instructions=round(ticks * board.instructions_per_tick),
        )


def _objects(board: Board, sources: Sources, directory: Path) -> list[Path]:
    """Compile the model and its call, which comes first."""
    call = directory / "call.c"
    call.write_text(_call(sources), encoding="utf-8")
    command = [board.compiler, *board.flags, *sources.flags, *_SECTIONS]
    command += ["-std=gnu11", f"-I{SUPPORT}"]
    command += [f"-I{folder}" for folder in sources.includes]
    command += [f"-D{definition}" for definition in sources.definitions]
    objects = []
    for number, file in enumerate([call, *sources.files]):
        objects.append(directory / f"{number}.o")
        _run([*command, "-c", "-o", str(objects[-1]), str(file)])
    return objects


def _linked(board: Board, objects: Sequence[Path], directory: Path) -> bytes:
    script, result = directory / "board.ld", directory / "model.elf"
    memory = "\n".join(
        f"  {name} : ORIGIN = {one.start:#x}, LENGTH = {one.size}"
        for name, one in (("FLASH", board.flash), ("RAM", board.ram))
    )
    sections = (SUPPORT / "sections.ld").read_text(encoding="utf-8")
    script.write_text(f"MEMORY\n{{\n{memory}\n}}\nSTACK_SIZE = {board.stack_size};\n{sections}")
    support = [SUPPORT / name for name in (board.start_up, "files.c", "stack.c", "measure.c")]
    command = [board.compiler, *board.flags, *_SECTIONS, "-nostartfiles", f"-T{script}"]
    command += ["-Wl,--gc-sections", f"-I{SUPPORT}", "-o", str(result)]
    _run([*command, *map(str, [*support, *objects]), "-lm"])
    return result.read_bytes()


def _flash_bytes(board: Board, objects: Sequence[Path], directory: Path) -> int:
    """Return the bytes of what the call reaches, without the call's own."""
    linker, size = (board.compiler.replace("gcc", tool) for tool in ("ld", "size"))
    whole = directory / "whole.o"
    _run([linker, "-r", "--gc-sections", "-e", "call_model", "-o", str(whole), *map(str, objects)])
    return _text_and_data(size, whole) - _text_and_data(size, objects[0])


def _text_and_data(size: str, file: Path) -> int:
    text, data, *_ = _run([size, str(file)]).splitlines()[1].split()
    return int(text) + int(data)


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        errors = re.findall(r".*(?:error|undefined).*", done.stderr)
        raise RuntimeError(f"{command[0]}: {' | '.join(errors[:3]) or done.stderr[-300:]}")
    return done.stdout


def _call(sources: Sources) -> str:
    headers = "\n".join(f'#include "{header}"' for header in sources.headers)
    memory = "\n".join(
        f"static uint8_t {name}[{max(size, 1)}] __attribute__((aligned(16)));"
        for name, size in (
            ("arena", sources.arena_bytes),
            ("input", sources.input_bytes),
            ("output", sources.output_bytes),
        )
    )
    return f"""#include "call.h"

{headers}

{memory}

const call_memory call_inputs[] = {{{{input, {sources.input_bytes}}}}};
const call_memory call_outputs[] = {{{{output, {sources.output_bytes}}}}};
const size_t call_num_inputs = 1, call_num_outputs = 1;

int call_model(void) {{ return {sources.call}; }}
"""
