"""Programs with exits: what they hold, and what they refuse."""

from dataclasses import replace
from typing import Any

import pytest

from quantlab.errors import UsageError
from quantlab.exits.program import NEVER, ExitProgram
from tests.quantlab.exits.networks import CLASSES, program


def test_thresholds_are_told_in_the_numbers_of_the_network() -> None:
    made = replace(program(), thresholds=(1000, 5))
    scale = float(made.program.reals["scores"].scale.reshape(-1)[0])
    assert made.margins()[0] == 1000 * scale
    assert made.num_classes == CLASSES


def of_outputs(*names: str) -> Any:
    return replace(program().program, outputs=names)


@pytest.mark.parametrize(
    ("made", "thresholds", "said"),
    [
        (lambda: 3, (0,), "exits.program: a int given"),
        (lambda: of_outputs("scores"), (), r"exits.program: 1 exits given \(scores\)"),
        (lambda: of_outputs("scores", "scores"), (0,), "exits.program: 2 exits given"),
        (
            lambda: of_outputs("segments_1_1_codes", "scores"),
            (0,),
            r"exits.program: scores 'segments_1_1_codes' of u8\[6, 4, 4\] given",
        ),
        (lambda: of_outputs("segments_2_1", "scores"), (0,), r"exits.program: exits with \[3, 8\]"),
        (lambda: of_outputs("scores", "scores_1"), (), "exits.thresholds: 0 given, 1 allowed"),
        (lambda: of_outputs("scores", "scores_1"), (-1,), r"exits.thresholds\[0\]: -1 given"),
        (lambda: of_outputs("scores", "scores_1"), (NEVER + 1,), r"exits.thresholds\[0\]: 42949"),
        (lambda: of_outputs("scores", "scores_1"), (1.5,), r"exits.thresholds\[0\]: a float given"),
        (lambda: of_outputs("scores", "scores_1"), (True,), r"exits.thresholds\[0\]: a bool given"),
        (lambda: of_outputs("scores", "scores_1"), None, "exits.thresholds: a NoneType given"),
    ],
)
def test_what_is_no_program_with_exits_is_one_line(made: Any, thresholds: Any, said: str) -> None:
    with pytest.raises(UsageError, match=f"^{said}") as caught:
        ExitProgram(program=made(), thresholds=thresholds)
    assert "\n" not in str(caught.value)
