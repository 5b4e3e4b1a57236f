from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from quantlab.errors import UsageError
from quantlab.numerics.levels import level_codes, nearest_level, num_bits_for


@pytest.mark.parametrize(
    ("num_levels", "kind", "wanted"),
    [
        (2, "uniform", (-1, 1)),
        (3, "uniform", (-1, 0, 1)),
        (4, "uniform", (-3, -1, 1, 3)),
        (5, "uniform", (-2, -1, 0, 1, 2)),
        (6, "uniform", (-5, -3, -1, 1, 3, 5)),
        (2, "power_of_two", (-1, 1)),
        (3, "power_of_two", (-1, 0, 1)),
        (4, "power_of_two", (-2, -1, 1, 2)),
        (7, "power_of_two", (-4, -2, -1, 0, 1, 2, 4)),
    ],
)
def test_levels(num_levels: int, kind, wanted: tuple[int, ...]) -> None:
    assert level_codes(num_levels, kind) == wanted
    assert 2 ** (num_bits_for(num_levels) - 1) < num_levels <= 2 ** num_bits_for(num_levels)


@pytest.mark.parametrize("num_levels", [1, 0, 33, 256])
def test_impossible_numbers(num_levels: int) -> None:
    with pytest.raises(UsageError, match=f"num_levels: {num_levels} given"):
        level_codes(num_levels, "power_of_two")


@given(
    st.sampled_from([(n, kind) for n in range(2, 16) for kind in ("uniform", "power_of_two")]),
    st.lists(st.floats(-70, 70, width=32), min_size=1, max_size=20),
)
def test_nearest(levels, numbers: list[float]) -> None:
    codes = level_codes(*levels)
    exact = [Fraction(number) for number in numbers]
    wanted = [max(codes, key=lambda code: (-abs(number - code), code)) for number in exact]
    found = nearest_level(torch.tensor(numbers, dtype=torch.float64), codes)
    assert found.tolist() == wanted
