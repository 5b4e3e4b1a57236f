"""Models in C are measured by what an inference reaches and runs."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from benchmarks.boards import Sources, cost
from quantlab.deploy.c.boards.table import BOARDS
from quantlab.errors import VerificationError

M3 = BOARDS["c-m3"]
MISSING = [program for program in M3.programs if shutil.which(program) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")

MODEL = """#include <stdint.h>
const uint8_t table[1000] = {1, 2, 3};
const uint8_t unused[5000] = {1};
int unused_function(int x) { return unused[x]; }
int model(const uint8_t* input, uint8_t* output) {
  volatile uint8_t row[400];
  for (int i = 0; i < 400; i++) row[i] = table[input[i]];
  *output = row[399];
  return *output > 3;
}
"""


def sources(folder: Path, call: str = "model(input, output)") -> Sources:
    (folder / "model.c").write_text(MODEL)
    (folder / "model.h").write_text("int model(const void*, void*);\n")
    return Sources(
        files=[folder / "model.c"],
        includes=[folder],
        headers=["model.h"],
        call=call,
        arena_bytes=0,
        input_bytes=400,
        output_bytes=1,
    )


def test_flash_is_what_the_call_reaches(tmp_path: Path) -> None:
    found = cost(M3, sources(tmp_path))
    assert 1000 <= found.flash_bytes < 1100
    assert 400 <= found.stack_bytes < 460
    # A load, a load of the table, a store, a count and a branch, and a tick of 40.
    assert 400 * 4 <= found.instructions < 400 * 9


def test_a_call_that_fails_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match="returned 2, 0 expected"):
        cost(M3, sources(tmp_path, "2"))
    with pytest.raises(RuntimeError, match=r"arm-none-eabi-gcc: .*undeclared"):
        cost(M3, sources(tmp_path, "nothing"))
    broken = dataclasses.replace(sources(tmp_path), headers=["missing.h"])
    with pytest.raises(RuntimeError, match=r"missing\.h"):
        cost(M3, broken)
