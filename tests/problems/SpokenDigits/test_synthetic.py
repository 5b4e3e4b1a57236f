"""Made-up recordings: the tones of a telephone's keys."""

import numpy as np
import pytest

from problems.SpokenDigits.synthetic import synthetic_recordings

# ITU-T Q.23, table 1.
TONES = {
    0: (941, 1336),
    1: (697, 1209),
    2: (697, 1336),
    3: (697, 1477),
    4: (770, 1209),
    5: (770, 1336),
    6: (770, 1477),
    7: (852, 1209),
    8: (852, 1336),
    9: (852, 1477),
}


@pytest.mark.parametrize("digit", TONES)
def test_the_loudest_tones_are_those_of_the_digit(digit: int) -> None:
    made = synthetic_recordings(20, seed=1)
    for number in (digit, digit + 10):
        samples = made.read(number)
        assert int(made.targets[number]) == digit
        powers = np.abs(np.fft.rfft(samples, 8000)) ** 2  # a bin for each hertz
        for tone, band in zip(TONES[digit], (slice(0, 1070), slice(1070, 4001)), strict=True):
            loudest = int(powers[band].argmax()) + band.start
            assert abs(loudest - tone) <= 4


def test_recordings_are_a_function_of_seed_and_place() -> None:
    one, longer, other = (synthetic_recordings(n, seed=s) for n, s in ((3, 0), (5, 0), (3, 1)))
    for number in range(3):
        assert np.array_equal(one.read(number), longer.read(number))
        assert not np.array_equal(one.read(number), other.read(number))
    assert len({len(samples) for samples in longer.samples}) > 1
