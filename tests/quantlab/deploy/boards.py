"""Which engines tests run: skipped by name where a program is missing, most boards if long."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest

from quantlab.deploy.c.boards.table import BOARDS
from quantlab.deploy.table import absent, engine_source

PAGE = Path(__file__).parents[3] / "docs" / "c.md"
QUICK = ("c-m0", "c-m3", "c-m4")


def engine(name: str, quick: Collection[str] = QUICK) -> Any:
    """Return the parameter of an engine of `verify`. quick: those whose tests are not long."""
    programs = engine_source(name).programs
    missing = absent(programs)
    packages = " ".join(programs[program] for program in missing)
    reason = f"needs {', '.join(missing)}: apt-get install {packages}"
    marks = [pytest.mark.skipif(bool(missing), reason=reason)]
    if name in BOARDS and name not in quick:
        marks.append(pytest.mark.long)
    return pytest.param(name, marks=marks)


def rows() -> Iterator[str]:
    """Yield the rows of the table in docs/c.md."""
    for name, board in BOARDS.items():
        sizes = " | ".join(f"{memory.size:,}" for memory in (board.flash, board.ram))
        yield f"| `{name}` | {board.core} | `{board.machine}` | {sizes} |"
