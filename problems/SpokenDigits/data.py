"""The Free Spoken Digit Dataset, from the folder of its recordings or from an archive of it.

Source: Z. Jackson and others, github.com/Jakobovski/free-spoken-digit-dataset, CC BY-SA 4.0: 3,000
recordings of 6 speakers. The split is its authors': of each speaker and digit, the
recordings 0 to 4 are for tests, the others to train.
"""

import lzma
import tarfile
from pathlib import Path

from experiments.protocols import Data, Source
from problems.images.files import read
from problems.SpokenDigits.recordings import (
    Name,
    Recordings,
    Samples,
    gather,
    parse_name,
    parse_wav,
)
from problems.SpokenDigits.synthetic import synthetic_recordings
from quantlab.errors import DataError

FOLDER = "recordings"
ARCHIVE = "spoken_digits.tar.xz"

_NUM_TESTS = 5  # of each speaker and digit
_SUFFIX = ".wav"


def load(folder: Path, source: Source) -> Data:
    """Return 2,700 recordings to train and 300 to test. Raises DataError."""
    if source == "synthetic":
        return Data(
            train=synthetic_recordings(1000, seed=0),
            test=synthetic_recordings(200, seed=1),
            source="synthetic recordings: the two tones that a telephone has for each digit",
        )
    return _read(folder)


def fetch(folder: Path) -> str:
    """Say what lies in `folder`. Raises DataError with what belongs there if nothing does."""
    data = _read(folder)
    return f"{data.source}: {len(data.train)} + {len(data.test)} recordings"


def read_file(path: Path) -> Samples:
    """Return the samples of one recording, of any name. Raises DataError."""
    return parse_wav(path.read_bytes(), path)


def _read(folder: Path) -> Data:
    samples = {parse_name(path): parse_wav(raw, path) for path, raw in _files(folder).items()}
    tests = {name for name in samples if name.index < _NUM_TESTS}
    return Data(
        train=_part(
            {name: samples[name] for name in samples.keys() - tests}, folder, "5 and above"
        ),
        test=_part({name: samples[name] for name in tests}, folder, "0 to 4"),
        source=f"Free Spoken Digit Dataset in {folder}",
    )


def _part(samples: dict[Name, Samples], folder: Path, indices: str) -> Recordings:
    if not samples:
        raise DataError(f"SpokenDigits: {folder} has no recordings of index {indices}")
    return gather(samples)


def _files(folder: Path) -> dict[Path, bytes]:
    """Return the content of each recording, out of their folder or the archive."""
    if (folder / FOLDER).is_dir():
        paths = sorted((folder / FOLDER).glob(f"*{_SUFFIX}"))
        files = {path: read(path) for path in paths}
    elif (folder / ARCHIVE).is_file():
        files = _unpack(folder / ARCHIVE)
    else:
        raise DataError(
            f"SpokenDigits: no data in {folder}; put {ARCHIVE}, or the folder {FOLDER} of the Free "
            "Spoken Digit Dataset, there"
        )
    return files


def _unpack(archive: Path) -> dict[Path, bytes]:
    """Return the recordings of an archive; nothing is written to the disk."""
    files: dict[Path, bytes] = {}
    try:
        with tarfile.open(archive, "r:xz") as tar:
            for member in tar:
                content = tar.extractfile(member) if member.name.endswith(_SUFFIX) else None
                if content is not None:
                    files[archive / member.name] = content.read()
    except (OSError, EOFError, lzma.LZMAError, tarfile.TarError) as error:
        raise DataError(f"{archive}: cannot be unpacked ({error}); bring it again") from error
    return files
