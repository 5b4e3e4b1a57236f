"""Mel-frequency cepstral coefficients (MFCC): what a recording sounds like, frame by frame.

Source: S. Davis and P. Mermelstein, "Comparison of parametric representations for monosyllabic word
recognition in continuously spoken sentences", 1980. Frames and coefficients are as many as those of
keywords in MLPerf Tiny (C. Banbury et al., "MLPerf Tiny benchmark", 2021): 49 frames of 40 ms, one
every 20 ms, of 10 coefficients.

Shapes: S samples of a signal, T frames, L samples of a frame, B bins of a spectrum, M mel bands,
K coefficients.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

RATE = 8000  # samples a second
NUM_SAMPLES = 8000  # of a signal: one second
NUM_FRAMES = 49
NUM_COEFFICIENTS = 10

_FRAME = 320  # samples: 40 ms
_HOP = 160  # samples: 20 ms
_TRANSFORM = 512  # samples, those behind the frame 0
_NUM_BANDS = 40
_LOWEST_HZ = 20.0
_LIFTER = 22
# Added to the energy of each band, of signals from -1 to 1: what is fainter counts as silence.
_FLOOR = 1e-3

Floats = NDArray[np.float64]


def mfcc(signal_S: Floats) -> Floats:
    """Return the coefficients `[T, K]` of a signal from -1 to 1.

    Each frame is weighted by a Hann window; its power spectrum is summed over triangular bands,
    even on the mel scale; the logarithms of the sums go through an orthonormal cosine transform,
    whose first K coefficients are liftered: so all have about the same deviation, and one scale
    serves them all.
    """
    energies_TM = _spectra(_frames(signal_S)) @ mel_bands().T
    cepstra_TK: Floats = np.log(energies_TM + _FLOOR) @ cosines().T
    return cepstra_TK * lifter()


def _frames(signal_S: Floats) -> Floats:
    """Return frames `[T, L]`, each a hop behind the one before it."""
    return np.lib.stride_tricks.sliding_window_view(signal_S, _FRAME)[::_HOP]


def _spectra(frames_TL: Floats) -> Floats:
    """Return power spectra `[T, B]` of frames under a periodic Hann window."""
    window_L = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_FRAME) / _FRAME)
    spectra_TB = np.fft.rfft(frames_TL * window_L, _TRANSFORM)
    return spectra_TB.real**2 + spectra_TB.imag**2


@cache
def mel_bands() -> Floats:
    """Return weights `[M, B]`: triangles of height 1, each from the middle of the band below to
    that of the band above, on the scale 2595 log10(1 + hertz / 700)."""
    low, high = (2595 * np.log10(1 + hertz / 700) for hertz in (_LOWEST_HZ, RATE / 2))
    edges = 700 * (10 ** (np.linspace(low, high, _NUM_BANDS + 2) / 2595) - 1)
    hertz_B = np.fft.rfftfreq(_TRANSFORM, 1 / RATE)
    low_M1, middle_M1, high_M1 = (edges[n : n + _NUM_BANDS, None] for n in range(3))
    rising_MB = (hertz_B - low_M1) / (middle_M1 - low_M1)
    falling_MB = (high_M1 - hertz_B) / (high_M1 - middle_M1)
    return np.maximum(0, np.minimum(rising_MB, falling_MB))


@cache
def cosines() -> Floats:
    """Return the first rows `[K, M]` of the orthonormal discrete cosine transform, type II."""
    order_K1 = np.arange(NUM_COEFFICIENTS)[:, None]
    angles_KM = np.pi * order_K1 * (np.arange(_NUM_BANDS) + 0.5) / _NUM_BANDS
    norm_K1 = np.sqrt(np.where(order_K1 == 0, 1, 2) / _NUM_BANDS)
    return norm_K1 * np.cos(angles_KM)


@cache
def lifter() -> Floats:
    """Return a factor for each coefficient, `[K]`: 1 + 11 sin(pi k / 22), as HTK has it."""
    sines_K: Floats = np.sin(np.pi * np.arange(NUM_COEFFICIENTS) / _LIFTER)
    return 1 + _LIFTER / 2 * sines_K
