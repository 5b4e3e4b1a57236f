"""A model with exits compiled for this machine."""

import ctypes
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.compiler import compile_model
from quantlab.deploy.c.exits.interface import EXIT, SCORES
from quantlab.deploy.c.exits.model import outputs_of_exits
from quantlab.deploy.c.folder import MANIFEST
from quantlab.deploy.c.host import COMPILER
from quantlab.deploy.c.traced import laid_out
from quantlab.errors import UsageError, VerificationError, check_kind
from quantlab.exits.interpreter import Left
from quantlab.exits.program import ExitProgram
from quantlab.integer.interpreter import check_inputs


class ExitsOnHost:
    """Runs the C files in a folder, sample by sample. Raises VerificationError if they do not
    compile, UsageError for a folder without a model."""

    def __init__(self, exits: ExitProgram, folder: Path) -> None:
        check_kind("exits", exits, ExitProgram, "an ExitProgram")
        check_kind("folder", folder, Path, "a Path")
        self._exits = exits
        self._arena = np.zeros(max(_arena_bytes(folder), 4), np.uint8)
        with tempfile.TemporaryDirectory() as directory:
            library = Path(directory) / "model.so"
            compile_model(folder, library, [COMPILER, "-shared", "-fPIC"])
            self._run = ctypes.CDLL(str(library)).ql_run

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Left:
        """Return what the model gives for a batch of each input, `[N, ...]`."""
        check_inputs(self._exits.program, inputs)
        given = [laid_out(inputs[name]) for name in self._exits.program.inputs]
        count = len(given[0])
        scores = np.zeros((count, self._exits.num_classes), np.int32)
        exits = np.zeros(count, np.uint8)
        for sample in range(count):
            arguments: list[Any] = [self._arena.ctypes.data_as(ctypes.c_void_p)]
            for array in (*(one[sample] for one in given), scores[sample], exits[sample:][:1]):
                arguments += [array.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(array.nbytes)]
            code = self._run(*arguments)
            if code:
                raise VerificationError(f"c: ql_run returned {code}, 0 expected")
        return Left(scores, exits)


def _arena_bytes(folder: Path) -> int:
    try:
        return int(json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["arena_bytes"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{folder / MANIFEST}: no manifest of a model in C") from error


def verify_exits(exits: ExitProgram, folder: Path, inputs: Mapping[str, NDArray[Any]]) -> None:
    """Compare the model in a folder with its program, to the bit. inputs: a batch of each.

    Raises VerificationError with the first sample whose exit or scores differ.
    """
    found = ExitsOnHost(exits, folder).run(inputs)
    given = {SCORES: found.scores, EXIT: found.exits[:, None]}
    for name, expected in outputs_of_exits(exits, inputs).items():
        wrong = np.argwhere(given[name] != expected)
        if len(wrong):
            place = tuple(int(axis) for axis in wrong[0])
            raise VerificationError(
                f"c: sample {place[0]}, {name}[{place[1]}]: {given[name][place]} given, "
                f"{expected[place]} expected"
            )
