import random
from collections.abc import Callable

import numpy as np
import pytest
import torch

from quantlab.graphs.random_draws import generator_states


@pytest.mark.parametrize(
    "draw",
    [random.random, np.random.rand, lambda: np.random.randn(1), lambda: torch.rand(1)],  # noqa: NPY002
)
def test_a_draw_changes_the_states(draw: Callable[[], object]) -> None:
    before = generator_states()
    assert generator_states() == before
    draw()
    assert generator_states() != before
