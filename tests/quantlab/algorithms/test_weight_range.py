import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from quantlab.algorithms.weight_range import NUM_CANDIDATES, WeightRange, weight_range

Array = NDArray[np.float64]
ROWS = {"reduced_axes": (1, 2), "keepdim": True}
WHOLE = {"reduced_axes": (0, 1, 2), "keepdim": False}


def oracle(row: Array, kind: WeightRange, quant_min: int, quant_max: int) -> float:
    """The end for numbers that share a scale, candidate by candidate in float64."""
    widest = np.abs(row).max()
    if kind == "max":
        return float(widest)
    if kind == "mean":
        return float(2 * np.abs(row).mean() * quant_max**0.5)
    ends = [widest * k / NUM_CANDIDATES for k in range(1, NUM_CANDIDATES + 1)]

    def error(end: float) -> float:
        codes = np.clip(np.floor(row * quant_max / end + 0.5), quant_min, quant_max)
        return float(((codes * end / quant_max - row) ** 2).sum())

    return float(min(ends, key=error))


@pytest.mark.parametrize("num_bits", [2, 3, 4, 8])
@pytest.mark.parametrize("narrow", [True, False])
@pytest.mark.parametrize("kind", ["max", "mean", "mse"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
def test_ends_are_the_formulas(
    kind: WeightRange, num_bits: int, narrow: bool, dtype: torch.dtype
) -> None:
    generator = torch.Generator().manual_seed(num_bits)
    weight = torch.randn(5, 4, 9, generator=generator, dtype=torch.float64).pow(3).to(dtype)
    codes = {"quant_min": -(2 ** (num_bits - 1)) + narrow, "quant_max": 2 ** (num_bits - 1) - 1}
    values = weight.double().numpy()
    found = weight_range(weight, kind, **ROWS, **codes)
    assert found.shape == (5, 1, 1)
    assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    wanted = [oracle(row, kind, **codes) for row in values]
    np.testing.assert_allclose(found.flatten().double(), wanted, rtol=1e-5)
    whole = weight_range(weight, kind, **WHOLE, **codes)
    assert whole.shape == ()
    np.testing.assert_allclose(whole.double(), oracle(values, kind, **codes), rtol=1e-5)


@given(st.integers(0, 2**32 - 1), st.integers(2, 8))
@settings(deadline=None, max_examples=30)
def test_mse_is_no_worse_than_max(seed: int, num_bits: int) -> None:
    weight = torch.from_numpy(np.random.default_rng(seed).standard_t(3, size=(1, 4, 25)))
    quant_max = 2 ** (num_bits - 1) - 1
    codes = {"quant_min": -quant_max, "quant_max": quant_max}
    errors = []
    for kind in ("mse", "max"):
        scale = weight_range(weight, kind, **WHOLE, **codes) / quant_max
        grid = (weight / scale + 0.5).floor().clamp(-quant_max, quant_max) * scale
        errors.append((grid - weight).square().sum())
    assert errors[0] <= errors[1] * (1 + 1e-12)


@pytest.mark.parametrize("kind", ["max", "mean", "mse"])
def test_zeros_have_no_range_and_no_gradient_flows(kind: WeightRange) -> None:
    weight = torch.zeros(2, 3, 4, requires_grad=True)
    found = weight_range(weight, kind, **ROWS, quant_min=-3, quant_max=3)
    assert found.flatten().tolist() == [0.0, 0.0]
    assert not found.requires_grad


@pytest.mark.parametrize("kind", ["max", "mean", "mse"])
def test_it_scales_with_the_weights_and_sees_no_sign(kind: WeightRange) -> None:
    weight = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    codes = {"quant_min": -7, "quant_max": 7}
    found = weight_range(weight, kind, **ROWS, **codes)
    assert torch.equal(weight_range(-4 * weight, kind, **ROWS, **codes), 4 * found)
