"""A model on this machine whose power fails: whether it still gives the outputs of its program."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.compiler import model_objects
from quantlab.deploy.c.interface import outputs_of, size_name
from quantlab.deploy.c.intermittent.schedule import Schedule
from quantlab.deploy.c.traced import laid_out
from quantlab.errors import UsageError, VerificationError
from quantlab.integer.interpreter import run
from quantlab.integer.program import Program

COMPILER = "cc"
_HOST = Path(__file__).parents[1] / "host"
# The functions that are called before each load and store are those of `host/power.c`.
_TICKS = ("-O1", "-fsanitize=thread", "-Dmemcpy=power_memcpy", "-Dmemset=power_memset")


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """What a model did on power that fails.

    ticks: loads and stores of an unbroken inference. longest: the most of them between two commits.
    failures: of the power, in all `inferences`. wrong: how many of these changed an input, or did
    not give the outputs. stuck: the tile that no charge finishes, 0 for none. overwritten: bytes
    that a tile wrote after it had read them: done again, it would read others.
    """

    ticks: int
    longest: int
    failures: int
    inferences: int
    wrong: int
    stuck: int
    overwritten: int


def simulate(
    program: Program, folder: Path, inputs: Mapping[str, NDArray[Any]], schedule: Schedule
) -> Simulated:
    """Run the model in a folder on power that fails.

    program: that it was made from. inputs: one sample of each input by name, integers. schedule:
    when the power fails. Raises UsageError for a model without `intermittent`, VerificationError if
    the files do not compile, or an unbroken inference gives other outputs than the program.
    """
    header = (folder / "model.h").read_text(encoding="utf-8")
    if "QL_NUM_TILES" not in header:
        raise UsageError(f"{folder}: a model that survives no power failure; write it intermittent")
    samples = {name: np.asarray(inputs[name])[None] for name in program.inputs}
    expected = run(program, samples)
    with TemporaryDirectory() as name:
        directory = Path(name)
        given, made = directory / "given", directory / "made"
        given.write_bytes(b"".join(laid_out(one).tobytes() for one in samples.values()))
        _build(program, folder, directory)
        command = [str(directory / "power"), str(given), str(made), *schedule.arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise VerificationError(f"c: simulation: code {done.returncode}: {done.stderr}")
        wanted = b"".join(laid_out(expected[one]).tobytes() for one in outputs_of(program))
        if made.read_bytes() != wanted:
            raise VerificationError("c: an unbroken inference gives other outputs than the program")
        return Simulated(**json.loads(done.stdout))


def _build(program: Program, folder: Path, directory: Path) -> None:
    call = directory / "call.c"
    call.write_text(_call(program), encoding="utf-8")
    objects = model_objects(folder, directory, [COMPILER, *_TICKS])
    sources = [str(call), str(_HOST / "power.c")]
    command = [COMPILER, "-std=c99", "-O2", f"-I{_HOST}", f"-I{folder}", *sources]
    command += [*map(str, objects), "-o", str(directory / "power")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise VerificationError(f"C does not compile: {done.stderr.strip()}")


def _call(program: Program) -> str:
    """Return the source of the model's call."""
    inputs = [size_name(name) for name in program.inputs]
    outputs = [size_name(name) for name in outputs_of(program)]
    arguments, behind = "", "QL_ARENA_SIZE"
    for one in [*inputs, *outputs]:
        arguments += f", memory + ({behind}), {one}"
        behind += f" + {one}"
    return f"""#include "power.h"

#include "model.h"

const size_t power_arena_size = QL_ARENA_SIZE;
const size_t power_inputs_size = {" + ".join(inputs) or "0"};
const size_t power_outputs_size = {" + ".join(outputs)};

int power_run(uint8_t* memory) {{ return ql_run(memory{arguments}); }}
"""
