"""Standardized rows are those of the encoding, and near the textbook's."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from problems.tables.standardize import Standardization, standardize
from quantlab.errors import UsageError
from quantlab.integer.tensor_type import U8, TensorType

MADE = Standardization(names=("year", "share"), mean=(2020.0, 0.25), std=(3.0, 0.01))


def rows() -> torch.Tensor:
    numbers = np.random.default_rng(0).normal(size=(500, 2)) * MADE.std + MADE.mean
    return torch.from_numpy(numbers)


def test_it_is_the_textbooks_to_within_a_step() -> None:
    (step,) = MADE.scale
    wanted = ((rows() - torch.tensor(MADE.mean)) / torch.tensor(MADE.std)).clamp(-4, 4 - step)
    difference = (standardize(rows(), MADE) - wanted).abs().max()
    assert 0 < difference <= 1.01 * step  # half a step of the mean, half of the value


def test_it_is_what_the_encodings_codes_stand_for() -> None:
    codes = MADE.encoding(rows().numpy(), TensorType((2,), U8)).astype(np.float64)
    reals = (codes - MADE.zero_point[0]) * MADE.scale[0]
    found = standardize(rows(), MADE)
    assert found.dtype == torch.float32
    assert np.array_equal(found.numpy(), reals)


def test_beyond_its_reach_it_is_the_end() -> None:
    far = torch.tensor([[1e9, -1e9]])
    assert standardize(far, MADE).tolist() == [[4 - 1 / 32, -4.0]]
    assert standardize(far, replace(MADE, reach=2.0)).tolist() == [[2 - 1 / 64, -2.0]]


def test_what_is_refused() -> None:
    with pytest.raises(UsageError, match=r"rows of shape \[5, 3\] given; \[N, 2\] allowed"):
        standardize(torch.zeros(5, 3), MADE)
    with pytest.raises(UsageError, match="2 names, 1 means and 2 stds given; one of each"):
        replace(MADE, mean=(1.0,))
    with pytest.raises(UsageError, match=r"mean 0\.25 and std 0\.0 of feature 'share' given"):
        replace(MADE, std=(1.0, 0.0))
    with pytest.raises(UsageError, match=r"reach 0\.0 given"):
        replace(MADE, reach=0.0)
