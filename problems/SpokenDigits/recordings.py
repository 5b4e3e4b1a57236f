"""Recordings of spoken digits: files in WAV format, and the samples in them.

Shapes: S samples of a recording, N recordings.
"""

import io
import re
import wave
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from problems.SpokenDigits.mfcc import RATE
from quantlab.errors import DataError

CLASSES = tuple("0123456789")

_NAME = re.compile(r"(?P<digit>[0-9])_(?P<speaker>[^_]+)_(?P<index>[0-9]+)\.wav")
_BYTES = 2  # of a sample

Samples = NDArray[np.int16]


@dataclass(frozen=True, kw_only=True)
class Name:
    """What `<digit>_<speaker>_<index>.wav` says. index: one of the speaker's takes of the digit."""

    digit: int
    speaker: str
    index: int


@dataclass(frozen=True, kw_only=True)
class Recordings:
    """Recordings in memory, of different lengths. Fulfils `OnDisk`.

    samples: int16 `[S]` of each recording. targets: `[N]` int64, the digits.
    """

    samples: Sequence[Samples]
    targets: Tensor
    classes: Sequence[str] = CLASSES

    def __len__(self) -> int:
        return len(self.samples)

    def read(self, index: int) -> Samples:
        return self.samples[index]


def parse_name(path: Path) -> Name:
    """Read a file's name. Raises DataError for one of another form."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise DataError(f"{path}: unknown name; <digit>_<speaker>_<index>.wav allowed")
    return Name(digit=int(match["digit"]), speaker=match["speaker"], index=int(match["index"]))


def parse_wav(raw: bytes, path: Path) -> Samples:
    """Return the samples `[S]` of a file of one channel, 16 bits and 8 kHz.

    Raises DataError, with the file's name, for damage and for another format.
    """
    try:
        with wave.open(io.BytesIO(raw)) as file:
            num_channels, num_bytes, rate, num_samples, *_ = file.getparams()
            content = file.readframes(num_samples)
    except (wave.Error, EOFError) as error:
        cause = str(error) or "it ends too early"
        raise DataError(f"{path}: no WAV file that can be read ({cause})") from error
    if (num_channels, num_bytes, rate) != (1, _BYTES, RATE):
        raise DataError(
            f"{path}: {num_channels} channels, {8 * num_bytes} bits and {rate} Hz given; "
            f"1 channel, {8 * _BYTES} bits and {RATE} Hz allowed"
        )
    if not num_samples or len(content) != _BYTES * num_samples:
        raise DataError(
            f"{path}: {len(content)} bytes for {num_samples} samples given; {_BYTES} bytes for "
            "each of at least 1 allowed"
        )
    return np.frombuffer(content, "<i2").astype(np.int16)


def gather(parts: Mapping[Name, Samples]) -> Recordings:
    """Return recordings in the order of digits, speakers and indices."""
    names = sorted(parts, key=lambda name: (name.digit, name.speaker, name.index))
    return Recordings(
        samples=tuple(parts[name] for name in names),
        targets=torch.tensor([name.digit for name in names], dtype=torch.int64),
    )
