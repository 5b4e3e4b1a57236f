import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from quantlab.errors import UsageError
from quantlab.numerics.affine import (
    choose_scale_zero_point,
    dequantize,
    fake_quantize,
    fake_quantize_masked,
    quantize,
    symmetric_scale,
)
from quantlab.numerics.ranges import integer_range

RANGES = st.sampled_from(
    [
        integer_range(num_bits, signed=signed, narrow=narrow)
        for num_bits in (1, 2, 4, 8, 16)
        for signed, narrow in ((False, False), (True, False), (True, True))
        if num_bits > 1 or not signed
    ]
)
ENDS = st.floats(width=32, min_value=-(2.0**100), max_value=2.0**100)
SCALES = st.floats(width=32, min_value=2.0**-100, max_value=2.0**100)


@given(RANGES, SCALES, st.integers(-300, 300), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_follows_the_formula_in_float64(codes, scale: float, zero_point: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    x = random.normal(size=50) * scale * codes.quant_max
    wanted = np.clip(np.floor(x / scale + 0.5) + zero_point, codes.quant_min, codes.quant_max)
    arguments = (torch.tensor(scale, dtype=torch.float64), torch.tensor(zero_point))
    ends = {"quant_min": codes.quant_min, "quant_max": codes.quant_max}
    found = quantize(torch.from_numpy(x), *arguments, **ends)
    assert found.dtype == torch.int32
    np.testing.assert_array_equal(found.numpy(), wanted)
    y = fake_quantize(torch.from_numpy(x), *arguments, **ends)
    np.testing.assert_array_equal(y.numpy(), (wanted - zero_point) * scale)
    np.testing.assert_array_equal(dequantize(found, *arguments).numpy(), y.numpy())


@given(RANGES, SCALES, st.booleans())
@settings(deadline=None)
def test_codes_survive_the_way_back(codes, scale: float, has_zero_point: bool) -> None:
    everything = torch.arange(codes.quant_min, codes.quant_max + 1, dtype=torch.int32)
    zero_point = torch.tensor((codes.quant_min + codes.quant_max) // 3) if has_zero_point else None
    x = dequantize(everything, torch.tensor(scale), zero_point)
    assert x.dtype == torch.float32
    again = quantize(
        x, torch.tensor(scale), zero_point, quant_min=codes.quant_min, quant_max=codes.quant_max
    )
    assert torch.equal(again, everything)


@given(RANGES, ENDS, ENDS, st.booleans())
@settings(deadline=None)
def test_chosen_grid_has_a_zero_and_covers_the_range(
    codes, one: float, other: float, symmetric: bool
) -> None:
    low, high = min(one, other), max(one, other)
    ends = {"quant_min": codes.quant_min, "quant_max": codes.quant_max}
    scale, zero_point = choose_scale_zero_point(
        torch.tensor(low), torch.tensor(high), symmetric=symmetric, **ends
    )
    assert scale.dtype == torch.float32
    assert zero_point.dtype == torch.int32
    assert scale > 0
    assert scale.isfinite()
    assert codes.quant_min <= zero_point <= codes.quant_max
    assert not symmetric or zero_point == 0
    assert fake_quantize(torch.zeros(1), scale, zero_point, **ends) == 0
    if symmetric and codes.quant_min == 0:  # such codes have no side for negative numbers
        low, high = max(low, 0.0), max(high, 0.0)
    for x in (low, high):
        error = abs(fake_quantize(torch.tensor(x), scale, zero_point, **ends) - x)
        # Half a step for rounding, and without symmetry as much for the zero point's rounding;
        # below the smallest normal number a range counts as zero.
        steps = 0.5 if symmetric else 1.0
        assert error <= scale * steps * (1 + 1e-3) or abs(x) < 1e-30


def test_symmetric_scale_is_the_least_that_clips_nothing() -> None:
    def chosen(low: float, high: float) -> float:
        scale, _ = choose_scale_zero_point(
            torch.tensor(low), torch.tensor(high), quant_min=-8, quant_max=7, symmetric=True
        )
        return scale.item()

    assert chosen(-8.0, 7.0) == 1.0
    assert chosen(-16.0, 7.0) == 2.0
    assert chosen(-8.0, 14.0) == 2.0


def test_chosen_entry_by_entry() -> None:
    low, high = torch.tensor([[-1.0], [0.0], [0.0]]), torch.tensor([[2.0], [30.0], [0.0]])
    scale, zero_point = choose_scale_zero_point(
        low, high, quant_min=0, quant_max=15, symmetric=False
    )
    torch.testing.assert_close(scale, torch.tensor([[0.2], [2.0], [1.0]]))
    assert zero_point.tolist() == [[5], [0], [0]]


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        (float("nan"), 1.0, "minimum: nan given, finite numbers allowed"),
        (0.0, float("inf"), "maximum: inf given, finite numbers allowed"),
        (2.0, 1.0, "minimum: 2.0 given, at most the maximum allowed"),
    ],
)
def test_impossible_ranges(low: float, high: float, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        choose_scale_zero_point(
            torch.tensor(low), torch.tensor(high), quant_min=0, quant_max=15, symmetric=True
        )


def test_symmetric_scale_of_nothing_is_one() -> None:
    max_abs = torch.tensor([0.0, 1e-40, 7.0, float("nan")])
    assert symmetric_scale(max_abs, quant_max=7)[:3].tolist() == [1.0, 1.0, 1.0]
    assert symmetric_scale(max_abs, quant_max=7)[3].isnan()
    assert max_abs[2] == 7.0


@pytest.mark.parametrize("zero_point", [None, torch.tensor(3, dtype=torch.int32)])
def test_mask_is_one_where_nothing_was_clipped(zero_point: Tensor | None) -> None:
    x = torch.tensor([-9.0, -7.5, -7.51, -1.0, 0.0, 7.49, 7.5, float("nan"), float("inf")])
    shifted = x if zero_point is None else x - 3
    y, mask = fake_quantize_masked(
        shifted * 0.5, torch.tensor(0.5), zero_point, quant_min=-7, quant_max=7
    )
    assert mask.tolist() == [0, 1, 0, 1, 1, 1, 0, 0, 0]
    plain = fake_quantize(shifted * 0.5, torch.tensor(0.5), zero_point, quant_min=-7, quant_max=7)
    assert torch.equal(y.nan_to_num(99), plain.nan_to_num(99))
    assert y[-2].isnan()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_computes_wide_whatever_the_type(dtype: torch.dtype) -> None:
    x = torch.randn(500, generator=torch.Generator().manual_seed(1)).to(dtype)
    scale = torch.tensor(0.013)
    ends = {"quant_min": -127, "quant_max": 127}
    wide = x if dtype == torch.float64 else x.float()
    assert torch.equal(quantize(x, scale, None, **ends), quantize(wide, scale, None, **ends))
    y = fake_quantize(x, scale, None, **ends)
    assert y.dtype == dtype
    assert torch.equal(y, fake_quantize(wide, scale, None, **ends).to(dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(y, fake_quantize(x, scale, None, **ends))
