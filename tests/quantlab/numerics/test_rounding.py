import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from quantlab.numerics.rounding import round_half_up, round_half_up_

PREDECESSOR_OF_HALF = float(np.nextafter(np.float32(0.5), np.float32(0)))


def exact(x: float) -> int:
    return math.floor(Fraction(x) + Fraction(1, 2))


@given(st.floats(width=32, min_value=-(2.0**23) + 1, max_value=2.0**23 - 1))
@settings(deadline=None)
def test_is_exact_but_for_one_float32(x: float) -> None:
    if x != PREDECESSOR_OF_HALF:
        assert round_half_up(torch.tensor(x)).item() == exact(x)


@given(st.floats(min_value=-(2.0**51), max_value=2.0**51))
@settings(deadline=None)
def test_is_exact_but_for_one_float64(x: float) -> None:
    if x != math.nextafter(0.5, 0):
        assert round_half_up(torch.tensor(x, dtype=torch.float64)).item() == exact(x)


def test_neighbours_of_every_small_tie() -> None:
    ties = np.arange(-(2**17), 2**17, dtype=np.float32) + np.float32(0.5)
    for x in (ties, np.nextafter(ties, np.float32(-1e9)), np.nextafter(ties, np.float32(1e9))):
        wanted = np.floor(x.astype(np.float64) + 0.5)
        found = round_half_up(torch.from_numpy(x)).numpy()
        assert set(x[found != wanted]) <= {np.float32(PREDECESSOR_OF_HALF)}


def test_the_documented_exception() -> None:
    assert round_half_up(torch.tensor(PREDECESSOR_OF_HALF)).item() == 1.0


@pytest.mark.parametrize(("x", "rounded"), [(-1.5, -1.0), (-0.5, 0.0), (0.5, 1.0), (2.5, 3.0)])
def test_ties_go_up(x: float, rounded: float) -> None:
    assert round_half_up(torch.tensor(x)).item() == rounded


def test_in_place_and_not() -> None:
    x = torch.tensor([0.6, -1.2])
    assert round_half_up(x).tolist() == [1.0, -1.0]
    assert x.tolist() == torch.tensor([0.6, -1.2]).tolist()
    assert round_half_up_(x) is x
    assert x.tolist() == [1.0, -1.0]
