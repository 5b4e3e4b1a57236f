"""Recordings that tests make, as files."""

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from problems.SpokenDigits.synthetic import synthetic_recordings


def write_wav(
    path: Path, samples: NDArray[np.int16], *, rate: int = 8000, channels: int = 1
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())


def write_recordings(folder: Path, num_tests: int = 1, num_trains: int = 4) -> None:
    """Write so many recordings of each digit by one speaker, those for tests first."""
    indices = [*range(num_tests), *range(5, 5 + num_trains)]
    made = synthetic_recordings(10 * len(indices), seed=3)
    for number, samples in enumerate(made.samples):
        index, digit = divmod(number, 10)
        write_wav(folder / "recordings" / f"{digit}_ann_{indices[index]}.wav", samples)
