"""Where samples leave, beside a loop over samples in Python's integers."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantlab.errors import UsageError
from quantlab.exits.interpreter import exit_scores, leave, margins, run
from quantlab.exits.program import NEVER
from quantlab.integer.interpreter import run as run_program
from tests.quantlab.exits.networks import codes, program

ENDS = [-(2**31), -(2**31) + 1, -1, 0, 1, 2**31 - 2, 2**31 - 1]
ROWS = st.lists(
    st.lists(
        st.lists(st.one_of(st.sampled_from(ENDS), st.integers(-3, 3)), min_size=3, max_size=3),
        min_size=3,
        max_size=3,
    ),
    min_size=1,
    max_size=5,
)
THRESHOLDS = st.lists(
    st.sampled_from([0, 1, 2, 3, 2**31, NEVER - 1, NEVER]), min_size=2, max_size=2
)


@given(rows=ROWS, thresholds=THRESHOLDS)
def test_a_sample_leaves_at_the_first_exit_that_is_confident(
    rows: list[list[list[int]]], thresholds: list[int]
) -> None:
    scores = [np.array([row[exit] for row in rows], np.int32) for exit in range(3)]
    found = leave(scores, thresholds)
    for sample, row in enumerate(rows):
        gaps = [sorted(one)[-1] - sorted(one)[-2] for one in row]
        confident = [gap >= least for gap, least in zip(gaps, thresholds, strict=False)]
        expected = [*confident, True].index(True)
        assert found.exits[sample] == expected
        assert found.scores[sample].tolist() == row[expected]
        assert margins(scores[0])[sample] == gaps[0]


def test_a_program_gives_what_its_operations_give() -> None:
    made, inputs = program(), codes(20)
    outputs = run_program(made.program, inputs)
    for name, fast in zip(made.scores, exit_scores(made, inputs), strict=True):
        np.testing.assert_array_equal(fast, outputs[name])
    found = run(made, inputs)
    assert set(found.exits) == {2}
    np.testing.assert_array_equal(found.scores, outputs[made.scores[2]])


@pytest.mark.parametrize("call", [run, exit_scores])
def test_what_is_no_program_is_one_line(call: Any) -> None:
    with pytest.raises(UsageError, match=r"^exits: a int given, an ExitProgram allowed$"):
        call(3, codes(1))
