"""Floats as steps and integers."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from quantlab.formats.steps import on_steps, steps_of

floats = st.lists(st.floats(-(2.0**100), 2.0**100, width=32), max_size=20).map(
    lambda values: np.array(values, np.float32)
)


@given(values=floats)
def test_products_tell_their_step(values: NDArray[Any]) -> None:
    found = on_steps(values)
    steps = steps_of(found)
    if steps is None:
        assert np.abs(values).max(initial=0) < 2.0**-92
        assert np.array_equal(found, values)
        return
    step, codes = steps
    assert np.array_equal(codes * step, found)
    assert np.abs(codes).max() == 127
    assert np.array_equal(on_steps(found), found)
    assert np.abs(found.astype(float) - values).max() <= 0.502 * step


def test_other_floats_are_left() -> None:
    for values in ([0.1, 0.7, 1.0], [0.0, 0.0], [np.inf, 1.0], [np.nan, 1.0]):
        assert steps_of(np.array(values, np.float32)) is None
