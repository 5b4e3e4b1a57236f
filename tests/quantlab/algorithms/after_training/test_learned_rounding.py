from typing import Any

import numpy as np
import pytest
import torch

from quantlab.algorithms.after_training import AdaRoundSettings
from quantlab.algorithms.after_training.learned_rounding import (
    inverse_rectified_sigmoid,
    learn_codes,
    rectified_sigmoid,
    rounding_regularization,
)
from quantlab.algorithms.ste import SteConfig
from quantlab.errors import UsageError


def test_rectified_sigmoid_is_the_formula() -> None:
    v = np.linspace(-9, 9, 1001)
    wanted = np.clip(1.2 / (1 + np.exp(-v)) - 0.1, 0, 1)
    found = rectified_sigmoid(torch.from_numpy(v))
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-12)
    assert found[0] == 0
    assert found[-1] == 1
    h = torch.linspace(0, 1, 101, dtype=torch.float64)
    torch.testing.assert_close(rectified_sigmoid(inverse_rectified_sigmoid(h)), h)


def test_regularization_is_the_formula() -> None:
    h = np.random.default_rng(0).uniform(size=(4, 5))
    for beta in (2.0, 7.5, 20.0):
        wanted = np.mean(1 - np.abs(2 * h - 1) ** beta)
        found = rounding_regularization(torch.from_numpy(h), beta)
        np.testing.assert_allclose(found.item(), wanted)
    assert rounding_regularization(torch.tensor([0.0, 1.0]), 2.0) == 0


def test_beta_falls_after_the_warm_start() -> None:
    settings = AdaRoundSettings(num_steps=100, warm_start=0.2, beta_start=20.0, beta_end=2.0)
    betas = [settings.beta(step) for step in range(100)]
    assert betas[:20] == [None] * 20
    np.testing.assert_allclose(betas[20:], np.linspace(20, 2, 80, endpoint=False))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_steps": 0}, "num_steps: 0 given, at least 1"),
        ({"batch_size": 0}, "batch_size: 0 given"),
        ({"lr": 0.0}, "lr: 0.0 given, above 0"),
        ({"regularization": -1.0}, "regularization: -1.0 given"),
        ({"warm_start": 1.0}, "warm_start: 1.0 given, 0 to below 1"),
    ],
)
def test_impossible_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        AdaRoundSettings(**settings)


@pytest.mark.parametrize("granularity", ["per_tensor", "per_axis:0", "per_group:2"])
def test_codes_that_an_error_asks_for(granularity: str) -> None:
    """An error of the weights alone: all shall be rounded the other way, where the grid goes on."""
    weight = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    config = SteConfig(num_bits=4, granularity=granularity, weight_range="mean")
    quantizer = config.quantizer("weight", weight)
    steps = quantizer.split(weight) / quantizer.scale
    nearest = (steps + 0.5).floor()
    wanted = torch.where(nearest > steps, nearest - 1, nearest + 1).clamp(-7, 7)
    goal = (wanted * quantizer.scale).reshape(weight.shape)
    codes = learn_codes(
        weight,
        quantizer,
        lambda w, index: (w - goal).square().expand(len(index), 3, 4),
        num_samples=10,
        unit=1.0,
        settings=AdaRoundSettings(num_steps=200, lr=0.1, regularization=0.0),
        generator=torch.Generator().manual_seed(0),
    )
    assert codes.dtype == torch.int32
    assert torch.equal(codes, wanted.reshape(weight.shape).int())
