"""A run's network as what is deployed: its integer program."""

from typing import Any

from torch import nn

from experiments.deployment.samples import encoding_of, raw_samples
from experiments.library import Library
from experiments.protocols import Data
from quantlab.errors import UsageError
from quantlab.integer.lower import InputSpec, Limits, lower
from quantlab.integer.program import Program

NUM_CALIBRATION_SAMPLES = 256


def program_of(
    network: nn.Module,
    library: Library,
    data: Data,
    *,
    num_samples: int = NUM_CALIBRATION_SAMPLES,
    limits: Limits | None = None,
) -> Program:
    """Return the integer program of a run's network, its input the problem's raw images, or
    the codes of its rows.

    Values without a quantizer get their ranges from `num_samples` training samples. limits: without
    them those of `lower`.
    Raises UsageError as `spec_of` does.
    """
    spec = spec_of(library, data)
    samples, _ = raw_samples(data.train, library, num_samples)
    given = (limits or Limits()).as_given()
    return lower(network, spec, library.preprocess.evaluate(samples), **given)


def spec_of(library: Library, data: Data) -> InputSpec:
    """Return what the integers of a program's input stand for. Raises UsageError if the library
    does not say it."""
    normalization: Any = getattr(library.preprocess, "NORMALIZATION", None)
    if normalization is None:
        raise UsageError(
            f"{library.name}: its preprocess.py has no NORMALIZATION, which says what the integers "
            "of a raw image or row stand for; see problems/images/normalize.py and "
            "problems/tables/standardize.py"
        )
    samples, _ = raw_samples(data.train, library, 1)
    return InputSpec(
        shape=tuple(samples.shape[1:]),
        scale=normalization.scale,
        zero_point=normalization.zero_point,
        encoding=encoding_of(library),
    )
