"""Recordings made up from a seed: each digit is the two tones that a telephone has for it.

They stand in for recordings that a machine lacks; no figure measured on them says anything about
the real ones.

Source of the tones: ITU-T Q.23, "Technical features of push-button telephone sets".
"""

import numpy as np
import torch

from problems.SpokenDigits.mfcc import RATE
from problems.SpokenDigits.recordings import CLASSES, Recordings, Samples

_ROWS = (697, 770, 852, 941)  # hertz
_COLUMNS = (1209, 1336, 1477)
_KEYS = "123456789*0#"
_SHORTEST, _LONGEST = 1500, 5000  # samples
_TONE, _NOISE = 8000, 2000  # the height of a tone, the deviation of the noise


def synthetic_recordings(count: int, *, seed: int) -> Recordings:
    """Return `count` recordings, every digit equally often to within one."""
    targets = [index % len(CLASSES) for index in range(count)]
    return Recordings(
        samples=tuple(
            _tones(digit, np.random.default_rng([seed, index]))
            for index, digit in enumerate(targets)
        ),
        targets=torch.tensor(targets),
    )


def _tones(digit: int, random: np.random.Generator) -> Samples:
    row, column = divmod(_KEYS.index(CLASSES[digit]), len(_COLUMNS))
    length = random.integers(_SHORTEST, _LONGEST)
    times = np.arange(length) / RATE
    waves = [
        np.sin(2 * np.pi * (hertz * times + random.random()))
        for hertz in (_ROWS[row], _COLUMNS[column])
    ]
    noise = random.normal(0, _NOISE, length)
    return np.rint(_TONE * sum(waves) + noise).clip(-32768, 32767).astype(np.int16)
