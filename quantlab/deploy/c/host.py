"""A model compiled for this machine, as an engine."""

import ctypes
import tempfile
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.compiler import compile_model
from quantlab.deploy.c.model import c_model
from quantlab.deploy.c.placed import Placed, channels_last
from quantlab.errors import VerificationError
from quantlab.integer.interpreter import check_inputs
from quantlab.integer.program import Program

COMPILER = "cc"
_TRACE = Path(__file__).parent / "host" / "trace.c"


class HostEngine:
    """Runs the C files in a folder, sample by sample. Raises VerificationError if they do not
    compile."""

    def __init__(self, program: Program, folder: Path) -> None:
        model = c_model(program)
        self._program, self._tensors = program, model.tensors
        self._arena = np.zeros(max(model.arena_size, 4), np.uint8)
        # What is loaded stays when its file is gone.
        with tempfile.TemporaryDirectory() as directory:
            library = ctypes.CDLL(str(_library(folder, Path(directory))))
        self._run, self._trace = library.ql_run, library.ql_trace_into

    def execute(self, inputs: Mapping[str, NDArray[Any]]) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield the name and value of every tensor that an operation makes."""
        check_inputs(self._program, inputs)
        count = len(next(iter(inputs.values())))
        types = self._program.types
        kept = {
            name: np.zeros((count, prod(types[name].shape)), np.int32) for name in self._tensors
        }
        given = {name: _laid_out(value) for name, value in inputs.items()}
        outputs = [
            np.zeros(types[name].shape, types[name].kind.dtype)
            for name in dict.fromkeys(self._program.outputs)
        ]
        for sample in range(count):
            pointers = self._pointers(kept, sample)  # which have to stay while the model runs
            self._trace(pointers)
            arguments: list[Any] = [self._arena.ctypes.data_as(ctypes.c_void_p)]
            for array in [*(value[sample] for value in given.values()), *outputs]:
                arguments += [array.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(array.nbytes)]
            code = self._run(*arguments)
            if code:
                raise VerificationError(f"c: ql_run returned {code}, 0 expected")
        for operation in self._program.operations:
            name = operation.output
            yield name, _read(kept[name], self._tensors[name])

    def _pointers(self, kept: Mapping[str, NDArray[np.int32]], sample: int) -> Any:
        names = list(self._program.types)
        pointers = (ctypes.c_void_p * len(names))()
        for name, values in kept.items():
            pointers[names.index(name)] = values[sample].ctypes.data
        return pointers


def _library(folder: Path, directory: Path) -> Path:
    found = directory / "model.so"
    compile_model(folder, found, [COMPILER, "-shared", "-fPIC", "-DQL_TRACE"], [_TRACE])
    return found


def _laid_out(values: NDArray[Any]) -> NDArray[Any]:
    """Return `[N, ...]` with each sample as the model takes it."""
    order = channels_last(values.shape[1:])
    return np.ascontiguousarray(values.transpose(0, *(1 + axis for axis in order)))


def _read(values: NDArray[np.int32], placed: Placed) -> NDArray[Any]:
    """Return `[N, ...]` of what was kept as it lies."""
    count = len(values)
    sizes = [placed.axes[axis] for axis in placed.order]
    back = np.argsort(placed.order)
    found = values.reshape(count, *sizes).transpose(0, *(1 + back))
    return found.reshape(count, *placed.kind.shape).astype(placed.kind.kind.dtype)
