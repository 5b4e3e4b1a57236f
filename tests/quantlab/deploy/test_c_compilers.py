"""C under the compilers of this machine and of all boards: no warning, nothing undefined."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from quantlab.deploy.c.boards.table import BOARDS, PACKAGES
from quantlab.deploy.c.compiler import STANDARD, WARNINGS
from quantlab.deploy.c.model import c_model
from quantlab.deploy.c.runtime_files import RUNTIME
from tests.quantlab.deploy.sanitizers import check_sanitized, each_compiler
from tests.quantlab.integer.programs import Author, inputs

SOURCES = sorted(RUNTIME.glob("*.c"))
HOSTS = {"gcc": "gcc", "clang": "clang"}
# An int has 16 bits there. (A sanitizer hides from gcc that a conversion loses nothing.)
QUICK = ("c-msp430",)


def commands() -> Iterator[Any]:
    """Yield the command of each compiler, this machine's first."""
    for compiler, package in HOSTS.items():
        yield _parameter(compiler, [compiler], package)
        yield _parameter(f"{compiler}-traced", [compiler, "-DQL_TRACE"], package)
        yield _parameter(f"{compiler}-sanitized", [compiler, "-fsanitize=undefined"], package)
    for name, board in BOARDS.items():
        package = PACKAGES[board.compiler]
        yield _parameter(name, [board.compiler, *board.flags], package)


def _parameter(name: str, command: list[str], package: str) -> Any:
    reason = f"needs {command[0]}: apt-get install {package}"
    marks = [pytest.mark.skipif(which(command[0]) is None, reason=reason)]
    if name not in QUICK:
        marks.append(pytest.mark.long)
    return pytest.param(command, marks=marks, id=name)


@pytest.mark.parametrize("command", list(commands()))
def test_no_file_of_the_runtime_has_a_warning(command: list[str]) -> None:
    assert len(SOURCES) > 20
    flags = [*STANDARD, *WARNINGS, "-fsyntax-only"]
    done = subprocess.run(
        [*command, *flags, *map(str, SOURCES)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_no_board_leaves_a_warning_out() -> None:
    assert not [flag for board in BOARDS.values() for flag in board.flags if "-Wno-" in flag]


@pytest.mark.long
@each_compiler
@pytest.mark.parametrize("seed", range(4))
def test_models_with_vectors_do_nothing_that_c_leaves_undefined(
    compiler: str, seed: int, tmp_path: Path
) -> None:
    program = Author(seed + 20).program(12)
    files = c_model(program, vectors=inputs(program, 3, seed)).files
    check_sanitized(program, files, tmp_path, compiler)
