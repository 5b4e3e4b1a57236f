import numpy as np
import pytest
import torch

from quantlab.numerics.powers import MAX_EXPONENT, MIN_EXPONENT, power_of_two


def test_all_normal_powers_to_the_bit() -> None:
    exponents = np.arange(MIN_EXPONENT, MAX_EXPONENT + 1)
    wanted = np.ldexp(np.float64(1), exponents).astype(np.float32)
    found = power_of_two(torch.from_numpy(exponents)).numpy()
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.view(np.int32), wanted.view(np.int32))
    assert wanted[0] == np.finfo(np.float32).tiny
    assert float(np.finfo(np.float32).max) < 2.0 ** (MAX_EXPONENT + 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int32, torch.int64])
def test_whole_numbers_of_any_type_and_shape(dtype: torch.dtype) -> None:
    exponents = torch.tensor([[-3, 0], [1, 10]], dtype=dtype)
    assert power_of_two(exponents).tolist() == [[0.125, 1.0], [2.0, 1024.0]]
    assert power_of_two(exponents[0, 1]).shape == ()


@pytest.mark.parametrize(
    ("exponent", "clamped"),
    [(-1000.0, MIN_EXPONENT), (-127.0, MIN_EXPONENT), (128.0, MAX_EXPONENT), (1e9, MAX_EXPONENT)],
)
def test_beyond_the_normal_numbers(exponent: float, clamped: int) -> None:
    assert power_of_two(torch.tensor(exponent)).item() == 2.0**clamped


def test_nothing_but_the_exponent_is_set() -> None:
    bits = power_of_two(torch.arange(-126, 128)).view(torch.int32)
    assert bool((bits & 0x7FFFFF == 0).all())
    assert bool((bits > 0).all())
