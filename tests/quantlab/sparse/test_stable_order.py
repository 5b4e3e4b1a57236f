"""The order of several keys against NumPy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantlab.sparse.stable_order import stable_order

LIMITS = st.sampled_from([1, 2, 2**8, 2**8 + 1, 2**16, 2**16 + 1, 2**31])


@given(st.integers(0, 300), st.lists(LIMITS, min_size=1, max_size=4), st.integers(0, 9))
def test_order_is_that_of_lexsort(size: int, limits: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    keys = [rng.integers(max(limit - 3, 0), limit, size) for limit in limits]
    assert np.array_equal(stable_order(keys), np.lexsort(keys))
    keys = [rng.integers(0, limit, size).astype(np.int32) for limit in limits]
    assert np.array_equal(stable_order(keys), np.lexsort(keys))


@pytest.mark.parametrize("numbers", [[], [0, 0, 1], [1, 0, 1]])
def test_equal_ones_stay_in_their_order(numbers: list[int]) -> None:
    wanted = sorted(range(len(numbers)), key=numbers.__getitem__)
    found = stable_order([np.array(numbers, np.int64)])
    assert found.dtype == np.int64
    assert found.tolist() == wanted
