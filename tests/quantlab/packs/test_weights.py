"""Weights of codes, against the triple loop."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from quantlab.packs.weights import GeneratedWeight, Numbers, PlainWeight, scaled


def numbers(shape: tuple[int, ...], seed: int) -> Numbers:
    values = np.random.default_rng(seed).integers(-127, 128, shape)
    return Numbers(values=values.astype(np.int8), num_bits=8)


def triple_loop(v: NDArray[Any], u: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    found = np.zeros((len(v), u.shape[1], *b.shape[2:]))
    for c in range(len(v)):
        for r in range(len(u)):
            for i in range(u.shape[1]):
                for level in range(u.shape[2]):
                    found[c, i] += int(v[c, r]) * int(u[r, i, level]) * b[r, level].astype(int)
    return found


def test_factors_are_multiplied_exactly() -> None:
    v, u, b = numbers((5, 4), 0), numbers((4, 3, 2), 1), numbers((4, 2, 3, 3), 2)
    both = GeneratedWeight(coeff_out=v, coeff_in=u, basis=b)
    assert np.array_equal(both.unscaled(), triple_loop(v.values, u.values, b.values))
    inner = GeneratedWeight(coeff_out=None, coeff_in=u, basis=b)
    one = np.eye(4, dtype=int)
    assert np.array_equal(inner.unscaled(), triple_loop(one, u.values, b.values))
    outer = GeneratedWeight(coeff_out=v, coeff_in=None, basis=b)
    each = np.broadcast_to(np.eye(2, dtype=int), (4, 2, 2))
    assert np.array_equal(outer.unscaled(), triple_loop(v.values, each, b.values))
    assert list(both.parts) == ["coeff_out", "coeff_in", "basis"]


@pytest.mark.parametrize("ratios", [[1.0], [1.0, -0.5, 0.25]])
def test_each_output_has_its_factor(ratios: list[float]) -> None:
    given = numbers((3, 2, 2), 3)
    found = scaled(PlainWeight(numbers=given).unscaled(), np.float32(0.125), np.array(ratios))
    assert found.dtype == np.float32
    assert np.array_equal(found, given.values * 0.125 * np.reshape(ratios, (-1, 1, 1)))
