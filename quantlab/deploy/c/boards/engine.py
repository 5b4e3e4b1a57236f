"""A model on an emulated board, as an engine."""

from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.boards.emulator import run
from quantlab.deploy.c.boards.program import compiled
from quantlab.deploy.c.boards.table import Board
from quantlab.deploy.c.interface import outputs_of
from quantlab.deploy.c.model import c_model
from quantlab.deploy.c.traced import Traced, laid_out
from quantlab.integer.interpreter import check_inputs
from quantlab.integer.program import Program

_MOST_SAMPLES = 16  # in one run of the emulator
_SECONDS = 120  # that a sample may take
_HEADER = 4


class BoardEngine:
    """Runs the C files in a folder, some samples at a time. Raises UsageError for what does not fit
    on the board, VerificationError if they do not compile."""

    def __init__(self, program: Program, folder: Path, board: Board) -> None:
        self._program, self._board = program, board
        self._tensors = c_model(program).tensors
        self._executable = compiled(
            board,
            folder,
            list(program.inputs),
            outputs_of(program),
            ["trace.c", "verify.c"],
            ["-DQL_TRACE"],
        )

    def execute(self, inputs: Mapping[str, NDArray[Any]]) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield the name and value of every tensor that an operation makes."""
        check_inputs(self._program, inputs)
        count = len(next(iter(inputs.values())))
        traced = Traced(self._program, self._tensors, count)
        given = [laid_out(value) for value in inputs.values()]
        for first in range(0, count, _MOST_SAMPLES):
            self._run(traced, first, [value[first : first + _MOST_SAMPLES] for value in given])
        yield from traced.values()

    def _run(self, traced: Traced, first: int, inputs: list[NDArray[Any]]) -> None:
        count = len(inputs[0])
        rows = [one[sample].tobytes() for sample in range(count) for one in inputs]
        files = {"inputs": b"".join([np.uint32(count).tobytes(), *rows])}
        seconds = _SECONDS * (1 + count)
        outputs, tensors = run(
            self._board, self._executable, files, ["outputs", "tensors"], seconds
        )
        _read_records(np.frombuffer(tensors, "<i4"), traced, first)
        _read_outputs(outputs, traced, first, count)


def _read_records(words: NDArray[np.int32], traced: Traced, first: int) -> None:
    """Read what `support/trace.c` writes."""
    begin = 0
    while begin < len(words):
        sample, number, place, count = words[begin : begin + _HEADER].tolist()
        begin += _HEADER
        traced.keep(number, first + sample, place, words[begin : begin + count])
        begin += count


def _read_outputs(data: bytes, traced: Traced, first: int, count: int) -> None:
    begin = 0
    for sample in range(first, first + count):
        for name, kind in traced.outputs.items():
            output = np.frombuffer(data, kind.kind.dtype, prod(kind.shape), begin)
            traced.give(name, sample, output)
            begin += output.nbytes
