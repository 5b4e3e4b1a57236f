"""Places as a few numbers."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantlab.packs.places import from_plain, to_plain


@given(
    first=st.integers(0, 9),
    axes=st.lists(st.tuples(st.integers(1, 5), st.integers(-20, 20)), max_size=4),
)
def test_places_along_axes(first: int, axes: list[tuple[int, int]]) -> None:
    places = np.array([first])
    for count, step in axes:
        places = (places[:, None] + step * np.arange(count)).reshape(-1)
    assert np.array_equal(from_plain(to_plain(places), places.size), places)


@given(places=st.lists(st.integers(0, 9), max_size=30))
def test_any_places(places: list[int]) -> None:
    assert np.array_equal(from_plain(to_plain(np.array(places, np.intp)), 30), places)


def test_regular_places_are_short() -> None:
    """The channels of a part of an image, channels last."""
    image = np.arange(8 * 8 * 12).reshape(64, 12)
    assert to_plain(image) == [0, 768, 1]
    assert to_plain(image[:, 4:9]) == [4, 64, 12, 5, 1]


@pytest.mark.parametrize("plain", [[0, 2], [0, 0, 1], [0, 2**20, 1, 2**20, 1], ["a"], [0, 2, "b"]])
def test_what_means_nothing_is_refused(plain: list[Any]) -> None:
    with pytest.raises(ValueError, match="places of"):
        from_plain(plain, 1 << 28)
