"""What a caller sees of a model with exits: the scores of one of them, and which one it was."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from quantlab.exits.program import ExitProgram
from quantlab.integer.tensor_type import U8, TensorType

SCORES, EXIT = "scores", "exit"


@dataclass(frozen=True, kw_only=True)
class ExitInterface:
    """The inputs and outputs of `ql_run`. types: of both."""

    inputs: Mapping[str, TensorType]
    outputs: Sequence[str]
    types: Mapping[str, TensorType]


def interface_of(exits: ExitProgram) -> ExitInterface:
    """Return what `ql_run` takes and gives: `[C]` scores, and the exit's number, from 0."""
    program = exits.program
    given = {SCORES: program.types[exits.scores[0]], EXIT: TensorType((1,), U8)}
    return ExitInterface(
        inputs=program.inputs,
        outputs=tuple(given),
        types={**program.inputs, **given},
    )
