"""Recordings as signals of one second, moved and covered with noise to train.

Shapes: R samples of a recording, S samples of a signal.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def full_scale(samples_R: NDArray[np.int16]) -> Floats:
    """Return samples from -1 to 1, the largest of them 1 or -1; silence stays 0."""
    signal_R: Floats = samples_R.astype(np.float64)
    return signal_R / max(1.0, float(np.abs(signal_R).max()))


def place(samples_R: Floats, length: int, shift: int = 0) -> Floats:
    """Return a signal `[length]` with the recording in its middle, or `shift` samples later.

    Zeros are before and behind it; what reaches beyond the signal is cut off.
    """
    start = (length - len(samples_R)) // 2 + shift
    kept_R = samples_R[max(0, -start) : max(0, length - start)]
    signal_S = np.zeros(length)
    signal_S[max(0, start) : max(0, start) + len(kept_R)] = kept_R
    return signal_S


def add_noise(signal_S: Floats, deviation: float, seed: int) -> Floats:
    """Add white noise of a standard deviation, a function of the seed."""
    return signal_S + np.random.default_rng(seed).normal(0.0, deviation, len(signal_S))
