"""Programs with exits: an integer program with several scores, and when to stop at one of them.

A sample leaves at the first exit at which its largest score is at least a threshold above all
others; at the last one in any case. Both are integers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from quantlab.errors import UsageError, check_kind
from quantlab.exits.parts import Operations, in_order, parts_of
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S32

NEVER = 2**32 - 1  # beyond any margin but that of the least and the largest integer
_MOST_EXITS = 255


@dataclass(frozen=True, kw_only=True, eq=False)
class ExitProgram:
    """See the module.

    program: its outputs are the scores of each exit, `[C]` integers of 32 bits; its operations are
    put into the order in which it can stop, see `parts`. thresholds: of each exit but the last,
    from 0, with which all samples leave, to NEVER.

    Raises UsageError for a program with fewer than two exits, scores of other types or of different
    shapes, and thresholds that are none.
    """

    program: Program
    thresholds: Sequence[int]

    def __post_init__(self) -> None:
        check_kind("exits.program", self.program, Program, "a Program")
        _check_scores(self.program)
        check_thresholds(self.thresholds, len(self.program.outputs))
        object.__setattr__(self, "thresholds", tuple(self.thresholds))
        object.__setattr__(self, "program", in_order(self.program))

    @property
    def scores(self) -> tuple[str, ...]:
        """The tensors that have the scores of each exit."""
        return self.program.outputs

    @property
    def num_classes(self) -> int:
        return self.program.types[self.scores[0]].shape[0]

    @cached_property
    def parts(self) -> list[tuple[Operations, Operations]]:
        """The segment and the head of each exit; the last head is empty."""
        return parts_of(self.program)

    def with_thresholds(self, thresholds: Sequence[int]) -> "ExitProgram":
        """Return the same with other thresholds. Raises UsageError as of the class."""
        return replace(self, thresholds=thresholds)

    def margins(self) -> list[float]:
        """Return the thresholds in the numbers of the network."""
        reals = self.program.reals
        return [
            threshold * float(reals[name].scale.reshape(-1)[0])
            for name, threshold in zip(self.scores, self.thresholds, strict=False)
            if name in reals
        ]


def check_thresholds(given: object, num_exits: int) -> None:
    """Raise UsageError unless there is a threshold for each exit but the last."""
    check_kind("exits.thresholds", given, tuple | list, "integers in a tuple")
    assert isinstance(given, tuple | list)
    if len(given) != num_exits - 1:
        raise UsageError(
            f"exits.thresholds: {len(given)} given, {num_exits - 1} allowed, one for each exit but "
            "the last"
        )
    for number, threshold in enumerate(given):
        check_kind(f"exits.thresholds[{number}]", threshold, int, "an integer")
        if not 0 <= threshold <= NEVER:
            raise UsageError(f"exits.thresholds[{number}]: {threshold} given, 0 to {NEVER} allowed")


def _check_scores(program: Program) -> None:
    count = len(program.outputs)
    if len(set(program.outputs)) != count or not 2 <= count <= _MOST_EXITS:
        given = ", ".join(program.outputs)
        raise UsageError(
            f"exits.program: {count} exits given ({given}), 2 to {_MOST_EXITS} different ones "
            "allowed, the last of which is the end"
        )
    shapes = {program.types[name].shape for name in program.outputs}
    for name in program.outputs:
        kind = program.types[name]
        if name in program.inputs or kind.kind != S32 or len(kind.shape) != 1 or kind.shape[0] < 2:
            raise UsageError(
                f"exits.program: scores '{name}' of {kind} given, s32 of at least two classes [C] "
                "allowed, without a quantizer behind them"
            )
    if len(shapes) > 1:
        raise UsageError(
            f"exits.program: exits with {sorted(shape[0] for shape in shapes)} classes given, as "
            "many of each allowed"
        )
