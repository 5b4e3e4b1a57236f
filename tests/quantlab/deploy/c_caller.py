"""A model of C as a program of its own, under any compiler, sanitizer and level of optimization."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from quantlab.deploy.artefact import Files
from quantlab.deploy.c.compiler import compile_model
from quantlab.deploy.c.interface import outputs_of, size_name
from quantlab.deploy.c.placed import channels_last
from quantlab.deploy.c.traced import laid_out
from quantlab.deploy.c.written import Interface
from quantlab.deploy.folder import write_files

FILLS = (0x55, 0xAA)
_CHECKED = "-fsanitize=address,undefined,float-cast-overflow"


def _command(*command: str) -> Any:
    """Return a command as the parameter of a test, skipped where there is no such compiler."""
    reason = f"no C compiler: {command[0]}"
    marks = [pytest.mark.skipif(which(command[0]) is None, reason=reason)]
    return pytest.param(list(command), marks=marks, id=" ".join(command[:2]))


# By name, the parameters of tests.
COMPILERS: Mapping[str, Any] = {
    f"{compiler} {level}": _command(compiler, level)
    for compiler in ("gcc", "clang")
    for level in ("-O0", "-O2", "-O3", "-Os")
}
SANITIZERS: Mapping[str, Any] = {
    compiler: _command(compiler, _CHECKED, "-fno-sanitize-recover=all", "-g")
    for compiler in ("gcc", "clang")
}
MEMORY_SANITIZER = _command("clang", "-fsanitize=memory", "-fno-sanitize-recover=all", "-g")


@dataclass(frozen=True, kw_only=True)
class Called:
    """What one sample left. arenas: the arena's bytes after runs in memory of each of `FILLS`."""

    outputs: Mapping[str, NDArray[Any]]
    arenas: Sequence[NDArray[np.uint8]]


class CalledModel:
    """Runs a model in memory of the exact sizes, inputs and outputs at odd addresses.

    Before each run the arena and the outputs are filled with each of `FILLS` in turn; both runs
    have to give the same outputs. command: the compiler with its flags, the level among them.
    is_filled: otherwise memory is as `malloc` gives it, for a sanitizer of memory.
    """

    def __init__(
        self,
        program: Interface,
        files: Files,
        folder: Path,
        command: Sequence[str],
        *,
        is_filled: bool = True,
    ) -> None:
        if _missing(tuple(command)):
            pytest.skip(
                f"{command[0]} lacks what {command[1]} needs: apt-get install libclang-rt-dev"
            )
        self._program, self._folder = program, folder
        self._fills = FILLS if is_filled else (None,)
        write_files(files, folder)
        (folder / "caller.c").write_text(_caller(program))
        compile_model(folder, folder / "caller", command, [folder / "caller.c"])

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Iterator[Called]:
        """Yield what each sample leaves. inputs: by name, `[N, ...]`."""
        laid = [laid_out(inputs[name]) for name in self._program.inputs]
        for sample in range(len(laid[0])):
            given = b"".join(one[sample].tobytes() for one in laid)
            runs = [self._one(given, fill) for fill in self._fills]
            outputs = [data for data, _ in runs]
            assert outputs[0] == outputs[-1]
            yield Called(outputs=self._tensors(outputs[0]), arenas=[arena for _, arena in runs])

    def _one(self, given: bytes, fill: int | None) -> tuple[bytes, NDArray[np.uint8]]:
        (self._folder / "given").write_bytes(given)
        _call([str(self._folder / "caller"), *([] if fill is None else [str(fill)])], self._folder)
        arena = np.fromfile(self._folder / "arena", np.uint8)
        return (self._folder / "made").read_bytes(), arena

    def _tensors(self, data: bytes) -> Mapping[str, NDArray[Any]]:
        found, begin = {}, 0
        for name in outputs_of(self._program):
            kind = self._program.types[name]
            order = channels_last(kind.shape)
            dtype = np.dtype(kind.kind.dtype)
            size = int(np.prod(kind.shape)) * dtype.itemsize
            values = np.frombuffer(data[begin : begin + size], dtype)
            laid = values.reshape([kind.shape[axis] for axis in order])
            found[name] = laid.transpose(np.argsort(order))
            begin += size
        assert begin == len(data)
        return found


@cache
def _missing(command: tuple[str, ...]) -> bool:
    """Return whether a compiler lacks what its settings need, such as a sanitizer."""
    empty = "int main(void) { return 0; }"
    whole = [*command, "-x", "c", "-", "-o", os.devnull]
    done = subprocess.run(whole, input=empty, capture_output=True, text=True, check=False)
    return done.returncode != 0


def _call(command: Sequence[str], folder: Path | None = None) -> None:
    """Run a command that has nothing to say."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={"ASAN_OPTIONS": "detect_leaks=0", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), f"{' '.join(command)}\n{done.stderr[:3000]}"


def _caller(program: Interface) -> str:
    """Return `main`. The fill is its argument; `given`, `made` and `arena` are files."""
    inputs = [(f"in_{number}", size_name(name)) for number, name in enumerate(program.inputs)]
    outputs = [
        (f"out_{number}", size_name(name)) for number, name in enumerate(outputs_of(program))
    ]
    memory = "\n".join(f"  unsigned char* {name} = odd({size});" for name, size in inputs + outputs)
    read = "\n".join(
        f"  if (fread({name}, 1, {size}, given) != {size}) return 3;" for name, size in inputs
    )
    filled = "\n".join(
        f"    memset({name}, fill, {size});" for name, size in [("arena", "arena_size"), *outputs]
    )
    written = "\n".join(f"  fwrite({name}, 1, {size}, made);" for name, size in outputs)
    arguments = "".join(f", {name}, {size}" for name, size in inputs + outputs)
    return f"""#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

static unsigned char* odd(size_t size) {{
  return (unsigned char*)malloc(size + 1) + 1;
}}

int main(int argc, char** argv) {{
  const size_t arena_size = QL_ARENA_SIZE;
  unsigned char* arena = malloc(arena_size);
{memory}
  FILE* given = fopen("given", "rb");
  FILE* made = fopen("made", "wb");
  FILE* left = fopen("arena", "wb");
{read}
  if (argc > 1) {{
    int fill = atoi(argv[1]);
{filled}
  }}
  if (ql_run(arena{arguments}) != QL_OK) return 4;
{written}
  if (argc > 1) fwrite(arena, 1, arena_size, left);
  return fclose(given) + fclose(made) + fclose(left);
}}
"""
