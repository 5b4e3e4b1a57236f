"""The runtime of C under the compilers of all boards: none of its files has a warning."""

import subprocess
from collections.abc import Iterator
from shutil import which
from typing import Any

import pytest

from quantlab.deploy.c.boards.table import BOARDS, PACKAGES
from quantlab.deploy.c.compiler import STANDARD, WARNINGS
from quantlab.deploy.c.runtime_files import RUNTIME

SOURCES = sorted(RUNTIME.glob("*.c"))
HOSTS = {"gcc": "gcc", "clang": "clang"}
# A sanitizer hides from gcc that a conversion loses nothing; an int has 16 bits on the MSP430.
QUICK = ("gcc-sanitized", "c-msp430")


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
