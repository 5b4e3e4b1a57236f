"""A floor is an accuracy in percent."""

import pytest

from quantlab.compression.floor import check_floor
from quantlab.errors import UsageError


@pytest.mark.parametrize("floor", [0, 1.5, 90, 100.0])
def test_percent_is_allowed(floor: float) -> None:
    check_floor(floor)


@pytest.mark.parametrize(
    ("floor", "message"),
    [
        (0.98, "floor: 0.98 given; it is in percent: 98"),
        (-1, "floor: -1 given, 0 to 100 percent allowed"),
        (101, "floor: 101 given, 0 to 100 percent allowed"),
        (float("nan"), "floor: nan given, 0 to 100 percent allowed"),
        (True, "floor: a bool given, percent allowed"),
        ("90", "floor: a str given, percent allowed"),
    ],
)
def test_anything_else_is_one_line(floor: object, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_floor(floor)
    assert str(caught.value) == message
