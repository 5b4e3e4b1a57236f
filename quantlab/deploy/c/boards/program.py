"""A model with what a board needs, compiled to one program."""

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from quantlab.deploy.c.boards.table import PACKAGES, SUPPORT, Board, Memory
from quantlab.deploy.c.compiler import compile_model
from quantlab.deploy.c.interface import input_name, output_name, size_name
from quantlab.errors import UsageError, VerificationError

_OVERFLOW = re.compile(r"region [`'](FLASH|RAM)'(?: overflowed by|: overflowed by) (\d+) bytes")

_NO_LIBRARY = re.compile(r"string\.h: No such file|cannot read spec file|cannot find -lc\b")


def compiled(
    board: Board,
    folder: Path,
    inputs: Sequence[str],
    outputs: Sequence[str],
    sources: Sequence[str],
    flags: Sequence[str] = (),
) -> bytes:
    """Return the program, as an ELF file.

    folder: of the model's files. inputs, outputs: the names of its tensors. sources: of `support`,
    beside those of all programs; one of them has `main`.

    Raises UsageError, with the bytes needed and available, for a model that does not fit, and where
    the compiler has no C library; VerificationError if anything does not compile.
    """
    support = [SUPPORT / name for name in (board.start_up, "files.c", "stack.c", *sources)]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        call, script, result = (directory / file for file in ("call.c", "board.ld", "model.elf"))
        call.write_text(_call(inputs, outputs), encoding="utf-8")
        script.write_text(_linker_script(board), encoding="utf-8")
        linking = [*(board.linker or ["-nostartfiles"]), f"-T{script}"]
        command = [*command_of(board), *flags]
        try:
            compile_model(
                folder,
                result,
                command,
                [call],
                support=support,
                linking=linking,
                has_linker=bool(board.linker),
            )
        except VerificationError as error:
            _refuse_overflow(board, folder, str(error))
            _refuse_missing_library(board, str(error))
            raise
        return result.read_bytes()


def command_of(board: Board) -> list[str]:
    """Return the command that compiles for a board."""
    return [board.compiler, *board.flags, f"-I{SUPPORT}"]


def _linker_script(board: Board) -> str:
    memory = "\n".join(
        f"  {name} : ORIGIN = {one.start:#x}, LENGTH = {one.size}"
        for name, one in (("FLASH", board.flash), ("RAM", board.ram))
    )
    sections = (SUPPORT / "sections.ld").read_text(encoding="utf-8")
    return f"MEMORY\n{{\n{memory}\n}}\nSTACK_SIZE = {board.stack_size};\n{sections}"


def _refuse_overflow(board: Board, folder: Path, complaint: str) -> None:
    sizes: dict[str, Memory] = {"FLASH": board.flash, "RAM": board.ram}
    needed = {
        name: f"{int(excess) + sizes[name].size:,}" for name, excess in _OVERFLOW.findall(complaint)
    }
    if not needed:
        needed = {
            name: f"at least {least:,}"
            for name, least in _least(board, folder, complaint).items()
            if least > sizes[name].size
        }
    if needed:
        said = [f"{needed[n]} bytes of {n} needed, {sizes[n].size:,} available" for n in needed]
        raise UsageError(f"{board.core} ({board.machine}): {'; '.join(said)}")


def _least(board: Board, folder: Path, complaint: str) -> dict[str, int]:
    """Return what is needed at least: with addresses of 16 bits a model may not compile."""
    interface = (folder / "model.h").read_text(encoding="utf-8")
    arena = re.search(r"^#define QL_ARENA_SIZE (\d+)", interface, re.MULTILINE)
    arrays = re.findall(r"array is too large \((\d+) elements\)\n.*?int(\d+)_t", complaint)
    largest = max((int(count) * int(bits) // 8 for count, bits in arrays), default=0)
    return {"FLASH": largest, "RAM": board.stack_size + (int(arena[1]) if arena else 0)}


def _refuse_missing_library(board: Board, complaint: str) -> None:
    if _NO_LIBRARY.search(complaint):
        raise UsageError(
            f"{board.core} ({board.machine}): {board.compiler} has no C library; "
            f"sudo apt-get install {PACKAGES[board.compiler]}"
        )


def _call(inputs: Sequence[str], outputs: Sequence[str]) -> str:
    """Return the source of the model's call, with CALL_SELFTEST of its own test. Inputs and outputs
    lie at odd addresses, which the model has to bear."""
    given = [(input_name(name), size_name(name)) for name in inputs]
    made = [(output_name(name), size_name(name)) for name in outputs]
    memory = "\n".join(
        f"static uint8_t {name}[{size} + 1] __attribute__((aligned(4)));"
        for name, size in (*given, *made)
    )
    arguments = ", ".join(f"{name} + 1, {size}" for name, size in (*given, *made))
    tested = ", ".join(f"{name} + 1" for name, _ in (*given, *made))
    return f"""#include "call.h"

#include "model.h"

static uint32_t arena[QL_ARENA_SIZE / 4 + (QL_ARENA_SIZE == 0)];
{memory}

{_table("inputs", given)}
{_table("outputs", made)}

#ifdef CALL_SELFTEST
int call_model(void) {{ return ql_selftest(arena, {tested}); }}
#else
int call_model(void) {{ return ql_run(arena, {arguments}); }}
#endif
"""


def _table(kind: str, memory: Sequence[tuple[str, str]]) -> str:
    entries = ", ".join(f"{{{name} + 1, {size}}}" for name, size in memory)
    return f"""const call_memory call_{kind}[] = {{{entries}}};
const size_t call_num_{kind} = {len(memory)};"""
