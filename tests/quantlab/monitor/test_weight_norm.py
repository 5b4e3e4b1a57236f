import numpy as np
import pytest
import torch

from quantlab.monitor.weight_norm import WeightNormConfig, norm
from tests.quantlab.monitor.small import array, numbers, trained


def test_it_is_the_norm_after_the_step() -> None:
    training = trained(WeightNormConfig(period=1))
    weight = array(training.network.conv.weight)
    found = numbers(training.readings[-1])
    assert found["weight_norm/conv"] == pytest.approx(np.sqrt((weight**2).sum()), rel=1e-12)
    assert set(found) == {"weight_norm/conv", "weight_norm/linear"}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_squares_do_not_overflow(dtype: torch.dtype) -> None:
    x = torch.full((3, 400), torch.finfo(dtype).max, dtype=dtype)
    assert float(norm(x)) == pytest.approx(float(x[0, 0]) * np.sqrt(1200), rel=1e-9)
