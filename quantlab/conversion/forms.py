"""What a network can be written as: integers of 8 or 16 bits, or floats."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from quantlab.conversion.accuracy import float_accuracy, integer_accuracy
from quantlab.conversion.calibration import has_quantizers, quantized_copy
from quantlab.conversion.given import FEW_SAMPLES, Given
from quantlab.conversion.samples import codes_of
from quantlab.deploy.c.floats.model import float_c_model
from quantlab.deploy.c.floats.weights import ENCODINGS as FLOAT_ENCODINGS
from quantlab.deploy.c.intermittent.power import Power, power_of
from quantlab.deploy.c.model import Model, c_model
from quantlab.deploy.c.options import ENCODINGS
from quantlab.errors import UsageError
from quantlab.floats.lower import lower as float_lower
from quantlab.floats.program import FloatProgram
from quantlab.integer.lower import InputSpec, lower
from quantlab.integer.program import Program


@dataclass(frozen=True, kw_only=True)
class Converted:
    """A network as C. spec: what the integers of its input stand for, None of floats. accuracy: in
    percent of the examples, None without targets."""

    program: Program | FloatProgram
    spec: InputSpec | None
    model: Model
    accuracy: float | None


class Form(Protocol):
    """A type of numbers that networks can be written in. encodings: of its weights."""

    @property
    def encodings(self) -> Sequence[str]: ...

    def convert(
        self, given: Given, representation: str, intermittent: bool | Power = False
    ) -> Converted:
        """Return a network as C, its weights in a representation. intermittent: as of `c_model`.
        Raises UsageError, with the layer, for what has no such form."""


@dataclass(frozen=True, kw_only=True)
class Integers:
    """input_bits: the most of a layer's input, with or without a sign. memory_bits: as of
    `lower`."""

    input_bits: int
    memory_bits: int
    encodings: Sequence[str] = ENCODINGS

    def convert(
        self, given: Given, representation: str, intermittent: bool | Power = False
    ) -> Converted:
        """See `Form`."""
        program, spec = self.lowered(given)
        vectors = None if given.inputs is None else {"input": codes_of(given.inputs, spec)}
        accuracy = None
        model = c_model(program, representation, vectors=vectors, intermittent=intermittent)
        if given.examples is not None and given.targets is not None:
            accuracy = integer_accuracy(program, spec, given.examples, given.targets)
        return Converted(program=program, spec=spec, model=model, accuracy=accuracy)

    def lowered(self, given: Given) -> tuple[Program, InputSpec]:
        """Return a network as a program, and what its input stands for. One without quantizers is
        quantized on the samples. Raises UsageError, with the layer."""
        network, spec, samples = given.network, given.spec, given.samples
        if spec is None:
            raise UsageError("input_data: None given, a sample needed, or example_data, or a spec")
        if not has_quantizers(network):
            if samples is None:
                raise UsageError(
                    "example_data: None given, but the network has no quantizers; samples needed, "
                    "from which the ranges of its activations are read"
                )
            network = quantized_copy(network, samples, most_bits=self.input_bits)
            if len(samples) < FEW_SAMPLES:
                warnings.warn(
                    f"samples: {len(samples)} given to read the ranges of activations from; a few "
                    "hundred as example_data make the C more accurate",
                    stacklevel=4,
                )
        program = lower(
            network, spec, samples, memory_bits=self.memory_bits, sum_bits=given.sum_bits
        )
        return program, spec


class Floats:
    """32 bits, as the network computes."""

    encodings: Sequence[str] = FLOAT_ENCODINGS

    def convert(
        self, given: Given, representation: str, intermittent: bool | Power = False
    ) -> Converted:
        """See `Form`. Floats survive no power failures."""
        if power_of(intermittent) is not None:
            raise UsageError(
                "intermittent: no effect with dtype 'f32'; C of 's8' or 's16' survives power "
                "failures"
            )
        if given.samples is None:
            raise UsageError("input_data: None given, a sample needed, or example_data")
        program = float_lower(given.network, given.samples[:1])
        vectors = None
        if given.inputs is not None:
            vectors = {"input": given.inputs.float().cpu().numpy()}
        accuracy = None
        model = float_c_model(program, representation, vectors=vectors)
        if given.examples is not None and given.targets is not None:
            accuracy = float_accuracy(program, given.examples, given.targets)
        return Converted(program=program, spec=None, model=model, accuracy=accuracy)


INTEGER_FORMS: Mapping[str, Integers] = {
    "s8": Integers(input_bits=8, memory_bits=8),
    "s16": Integers(input_bits=15, memory_bits=16),
}
FORMS: Mapping[str, Form] = {**INTEGER_FORMS, "f32": Floats()}
