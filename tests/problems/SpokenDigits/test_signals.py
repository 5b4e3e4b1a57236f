"""Recordings as signals: their scale, their place, their noise."""

import numpy as np
import pytest

from problems.SpokenDigits.signals import add_noise, full_scale, place


@pytest.mark.parametrize("samples", [[3, -12, 5], [-32768, 1, 2], [32767, 0, -1], [1], [0, 0]])
def test_the_largest_sample_becomes_one(samples: list[int]) -> None:
    found = full_scale(np.array(samples, np.int16))
    peak = max(1, *(abs(sample) for sample in samples))
    assert found.tolist() == [sample / peak for sample in samples]


@pytest.mark.parametrize("length", [1, 2, 7])
@pytest.mark.parametrize("count", [1, 2, 6, 7, 8, 20])
@pytest.mark.parametrize("shift", [-9, -3, 0, 1, 30])
def test_recordings_lie_in_the_middle_and_are_cut_off(length: int, count: int, shift: int) -> None:
    samples = np.arange(1.0, count + 1)
    start = (length - count) // 2 + shift
    wanted = [samples[n - start] if 0 <= n - start < count else 0 for n in range(length)]
    assert place(samples, length, shift).tolist() == wanted


def test_noise_is_a_function_of_its_seed() -> None:
    signal = np.ones(5000)
    one, same, other = (add_noise(signal, 0.1, seed) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert np.array_equal(add_noise(signal, 0.0, 1), signal)
    assert (one - signal).std() == pytest.approx(0.1, rel=0.05)
