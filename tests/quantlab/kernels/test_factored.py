"""Convolutions of real numbers and layer tables against float64, for every instruction set."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantlab import backend
from quantlab.backend import LayerTable, run_layers
from tests.quantlab.kernels.convolutions import Reals, random_convolution

VARIANTS = backend.kernels("factored")


def computed(
    table: LayerTable, inputs: list[Reals], values: list[int], **settings: Any
) -> list[Reals]:
    """Return values of a table, in arrays that are no numbers before."""
    outputs = [np.full((len(inputs[0]), *table.shape(v)), np.nan, np.float32) for v in values]
    run_layers(table, inputs, values, outputs, **settings)
    return outputs


def check_close(result: Reals, expected: Reals) -> None:
    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-5 * max(1, abs(expected).max()))


@given(seed=st.integers(0, 2**32 - 1))
@pytest.mark.parametrize("variant", VARIANTS)
def test_convolution(variant: str, seed: int) -> None:
    """With and without a residual and bounds; the same bits for any number of threads."""
    random = np.random.default_rng(seed)
    convolution = random_convolution(random)
    packed = convolution.packed
    size = (int(random.integers(8, 20)), int(random.integers(8, 20)))
    x = random.standard_normal((int(random.integers(1, 5)), *size, packed.num_inputs))
    x = x.astype(np.float32)
    expected = convolution.run(x)
    bound = float(abs(expected).max()) / 3
    table = LayerTable([(*size, packed.num_inputs)])
    bounded = table.convolution(packed, 0, low=-bound, high=2 * bound)
    values = [bounded, table.convolution(packed, 0, residual=bounded, low=0)]
    results = computed(table, [x], values, variant=variant, num_threads=1)
    first = expected.clip(-bound, 2 * bound)
    check_close(results[0], first)
    check_close(results[1], (expected + first).clip(min=0))
    for num_threads, at_once in ((1, 1), (2, 3), (4, 1)):
        again = computed(
            table, [x], values, variant=variant, num_threads=num_threads, images_at_once=at_once
        )
        for result, same in zip(results, again, strict=True):
            np.testing.assert_array_equal(result, same)
