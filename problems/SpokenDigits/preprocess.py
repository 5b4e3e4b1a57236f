"""Recordings to the network's inputs: cepstral coefficients as images of 8 bits.

To train, a recording is moved by up to 100 ms and covered with white noise. The coefficients have
one scale for all, so that an integer program takes them as they are: `[1, T, K]`.

Shapes: N images, T frames, K coefficients; 3 draws of a sample (shift, loudness of the noise, its
seed).
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from problems.images.normalize import Normalization, normalize
from problems.SpokenDigits.mfcc import NUM_SAMPLES, mfcc
from problems.SpokenDigits.recordings import Samples
from problems.SpokenDigits.signals import add_noise, full_scale, place

# Coefficients deviate by about 20, or 27 codes: networks see numbers that deviate by about 1.
NORMALIZATION = Normalization(zero_point=(128,), scale=(1 / 32,))
NUM_DRAWS = 3

_STEP = 0.75  # of a coefficient, for each code
_FARTHEST = 800  # samples: 100 ms
_LOUDEST = 0.01  # noise, beside a peak of 1


def read_train(sample: Samples, draws_K: Sequence[float]) -> Tensor:
    """Return the coefficients of a recording, moved and with noise, as uint8 `[1, T, K]`."""
    shift, loudness, seed = draws_K
    steps = min(int(shift * (2 * _FARTHEST + 1)), 2 * _FARTHEST)
    signal_S = place(full_scale(sample), NUM_SAMPLES, steps - _FARTHEST)
    return encode(mfcc(add_noise(signal_S, _LOUDEST * loudness, int(seed * 2**24))))


def read_evaluate(sample: Samples) -> Tensor:
    """Return the coefficients of a recording as uint8 `[1, T, K]`."""
    return encode(mfcc(place(full_scale(sample), NUM_SAMPLES)))


def encode(coefficients_TK: NDArray[np.float64]) -> Tensor:
    """Return codes `[1, T, K]`: clamp(floor(x / 0.75 + 1/2) + 128) to 0..255."""
    codes_TK = np.floor(coefficients_TK / _STEP + 0.5) + NORMALIZATION.zero_point[0]
    return torch.from_numpy(codes_TK.clip(0, 255).astype(np.uint8)).unsqueeze(0)


def train(inputs: Tensor, draws_NK: Tensor) -> Tensor:
    """Normalize uint8 images `[N, 1, T, K]`; their recordings were moved as they were read."""
    return evaluate(inputs)


def evaluate(inputs: Tensor) -> Tensor:
    """Normalize uint8 images `[N, 1, T, K]` to float32."""
    return normalize(inputs, NORMALIZATION)
