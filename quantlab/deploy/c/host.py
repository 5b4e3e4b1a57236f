"""A model compiled for this machine, as an engine."""

import ctypes
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.compiler import compile_model
from quantlab.deploy.c.model import c_model
from quantlab.deploy.c.traced import Traced, laid_out
from quantlab.errors import VerificationError
from quantlab.integer.interpreter import check_inputs
from quantlab.integer.program import Program

COMPILER = "cc"
_TRACE = Path(__file__).parent / "host" / "trace.c"


class HostEngine:
    """Runs the C files in a folder, sample by sample. Raises VerificationError if they do not
    compile."""

    def __init__(self, program: Program, folder: Path) -> None:
        self._program, self._tensors = program, c_model(program).tensors
        manifest = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        self._arena = np.zeros(max(manifest["arena_bytes"], 4), np.uint8)
        # What is loaded stays when its file is gone.
        with tempfile.TemporaryDirectory() as directory:
            library = ctypes.CDLL(str(_library(folder, Path(directory))))
        self._run, self._trace = library.ql_run, library.ql_trace_into

    def execute(self, inputs: Mapping[str, NDArray[Any]]) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield the name and value of every tensor that an operation makes."""
        check_inputs(self._program, inputs)
        count = len(next(iter(inputs.values())))
        traced = Traced(self._program, self._tensors, count)
        given = [laid_out(value) for value in inputs.values()]
        outputs = {
            name: np.zeros(kind.shape, kind.kind.dtype) for name, kind in traced.outputs.items()
        }
        for sample in range(count):
            pointers = self._pointers(traced, sample)  # which have to stay while the model runs
            self._trace(pointers)
            arguments: list[Any] = [self._arena.ctypes.data_as(ctypes.c_void_p)]
            for array in [*(value[sample] for value in given), *outputs.values()]:
                arguments += [array.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(array.nbytes)]
            code = self._run(*arguments)
            if code:
                raise VerificationError(f"c: ql_run returned {code}, 0 expected")
            for name, output in outputs.items():
                traced.give(name, sample, output)
        yield from traced.values()

    def _pointers(self, traced: Traced, sample: int) -> Any:
        names = list(self._program.types)
        pointers = (ctypes.c_void_p * len(names))()
        for name, values in traced.arrays.items():
            pointers[names.index(name)] = values[sample].ctypes.data
        return pointers


def _library(folder: Path, directory: Path) -> Path:
    found = directory / "model.so"
    compile_model(folder, found, [COMPILER, "-shared", "-fPIC", "-DQL_TRACE"], [_TRACE])
    return found
