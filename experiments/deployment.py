"""A run's network as what is deployed: its integer program and the artefacts made of it."""

from pathlib import Path
from typing import Any

from torch import nn

from experiments.library import Library
from experiments.protocols import Data
from experiments.runs.files import write_atomically
from experiments.samples import raw_samples
from quantlab.errors import UsageError, VerificationError
from quantlab.integer.file import REMEDY, from_bytes, tensor_hashes, to_bytes
from quantlab.integer.lower import InputSpec, lower
from quantlab.integer.program import Program

NUM_CALIBRATION_SAMPLES = 256


def program_of(network: nn.Module, library: Library, data: Data) -> Program:
    """Return the integer program of a run's network, its input the problem's raw images.

    Values without a quantizer get their ranges from training samples.
    Raises UsageError if the library does not say what its raw images stand for.
    """
    normalization: Any = getattr(library.preprocess, "NORMALIZATION", None)
    if normalization is None:
        raise UsageError(
            f"{library.name}: its preprocess.py has no NORMALIZATION, which says what the integers "
            "of a raw image stand for; see problems/images/normalize.py"
        )
    samples, _ = raw_samples(data.train, library, NUM_CALIBRATION_SAMPLES)
    channels, height, width = samples.shape[1:]
    spec = InputSpec(
        shape=(channels, height, width),
        scale=normalization.scale,
        zero_point=normalization.zero_point,
    )
    return lower(network, spec, library.preprocess.evaluate(samples))


def stored_program(path: Path, expected: Program) -> Program:
    """Return the program of a file, which is written first if it is not there.

    Raises VerificationError, with the tensor, unless it is the expected one.
    """
    wanted = to_bytes(expected)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, wanted)
    data = path.read_bytes()
    program = from_bytes(data, str(path))
    if data != wanted:
        found = tensor_hashes(program)
        for name, sha256 in tensor_hashes(expected).items():
            if found.get(name) != sha256:
                raise VerificationError(
                    f"{path}: tensor '{name}' is not that of the run's network: its SHA-256 is "
                    f"{found.get(name, 'missing')[:16]}, {sha256[:16]} expected; {REMEDY}"
                )
        raise VerificationError(
            f"{path}: its tensors are those of the run's network, but not its operations; {REMEDY}"
        )
    return program
