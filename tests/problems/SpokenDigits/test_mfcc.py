"""Cepstral coefficients beside a transform sample by sample, and SciPy's cosine transform."""

import numpy as np
import pytest
import scipy.fft

from problems.SpokenDigits.mfcc import NUM_SAMPLES, mel_bands, mfcc

MAKE = np.random.default_rng(0)


def hertz_of_mel(mel: float) -> float:
    return 700 * (10 ** (mel / 2595) - 1)


def mel_of_hertz(hertz: float) -> float:
    return 2595 * float(np.log10(1 + hertz / 700))


def triangle(hertz: float, low: float, middle: float, high: float) -> float:
    if low < hertz <= middle:
        return (hertz - low) / (middle - low)
    return (high - hertz) / (high - middle) if middle < hertz < high else 0.0


def frame_of(samples: list[float]) -> list[float]:
    """Return the coefficients of one frame of 320 samples, each by its own formula."""
    window = [0.5 - 0.5 * np.cos(2 * np.pi * n / 320) for n in range(320)]
    turns = np.outer(np.arange(257), np.arange(320)) / 512
    transform = np.exp(-2j * np.pi * turns) @ (np.array(samples) * np.array(window))
    powers = np.abs(transform) ** 2
    least, most = mel_of_hertz(20), mel_of_hertz(4000)
    edges = [hertz_of_mel(least + (most - least) * n / 41) for n in range(42)]
    logs = []
    for low, middle, high in zip(edges, edges[1:], edges[2:], strict=False):
        energy = sum(triangle(8000 * k / 512, low, middle, high) * powers[k] for k in range(257))
        logs.append(np.log(energy + 1e-3))
    cepstra = scipy.fft.dct(logs, type=2, norm="ortho")[:10]
    return [c * (1 + 11 * np.sin(np.pi * k / 22)) for k, c in enumerate(cepstra)]


@pytest.mark.parametrize("frame", [0, 1, 30, 48])
def test_a_frame_is_what_its_formulas_say(frame: int) -> None:
    signal = MAKE.normal(0, 0.2, NUM_SAMPLES)
    found = mfcc(signal)
    assert found.shape == (49, 10)
    wanted = frame_of(signal[160 * frame : 160 * frame + 320].tolist())
    np.testing.assert_allclose(found[frame], wanted, rtol=1e-9, atol=1e-9)


def test_silence_has_the_floor_alone() -> None:
    silence = mfcc(np.zeros(NUM_SAMPLES))
    assert silence[:, 0] == pytest.approx(np.sqrt(40) * np.log(1e-3))
    np.testing.assert_allclose(silence[:, 1:], 0, atol=1e-9)


def test_bands_have_one_peak_and_share_each_bin_between_two() -> None:
    bands = mel_bands()
    assert bands.shape == (40, 257)
    assert bands.min() == 0
    assert bands.max() <= 1
    assert ((bands > 0).sum(0) <= 2).all()
    inner = slice(int(bands[0].argmax()) + 1, int(bands[-1].argmax()))
    np.testing.assert_allclose(bands.sum(0)[inner], 1)
    assert (np.diff(bands.argmax(1)) >= 0).all()
