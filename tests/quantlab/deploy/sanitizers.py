"""A model's own test under the sanitizers of a compiler."""

import os
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from shutil import which

import pytest

from quantlab.deploy.artefact import Files
from quantlab.deploy.c.compiler import compile_model
from quantlab.deploy.c.interface import outputs_of, size_name
from quantlab.deploy.c.written import Interface
from quantlab.deploy.folder import write_files

FLAGS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g")
PACKAGES = {"gcc": "gcc", "clang": "clang libclang-rt-dev"}

each_compiler = pytest.mark.parametrize("compiler", PACKAGES)


def check_sanitized(program: Interface, files: Files, folder: Path, compiler: str) -> None:
    """Run a model's own test in memory of the exact sizes, inputs and outputs at odd addresses.

    Sanitizers watch the memory, and what C leaves undefined. Skips where there are none.
    """
    if which(compiler) is None or lacks((compiler, *FLAGS)):
        pytest.skip(f"{compiler} with sanitizers: apt-get install {PACKAGES[compiler]}")
    write_files(files, folder / "model")
    memory = [*program.inputs, *outputs_of(program)]
    given = ", ".join(f"(char*)malloc({size_name(name)} + 1) + 1" for name in memory)
    source = folder / "caller.c"
    source.write_text(
        '#include <stdlib.h>\n\n#include "model.h"\n\n'
        f"int main(void) {{ return ql_selftest(malloc(QL_ARENA_SIZE + 1), {given}); }}\n"
    )
    compile_model(folder / "model", folder / "caller", [compiler, *FLAGS], [source])
    done = subprocess.run(
        [folder / "caller"],
        env={"ASAN_OPTIONS": "detect_leaks=0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@cache
def lacks(command: Sequence[str]) -> bool:
    """Return whether a compiler lacks what its settings need, such as a sanitizer."""
    empty = "int main(void) { return 0; }"
    whole = [*command, "-x", "c", "-", "-o", os.devnull]
    done = subprocess.run(whole, input=empty, capture_output=True, text=True, check=False)
    return done.returncode != 0
