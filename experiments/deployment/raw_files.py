"""Files as raw batches, such as a network gets them of its data set: images, `.npz`, rows, and what
else a problem reads."""

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from experiments.data.checks import check_finite
from experiments.data.loader import reading_of
from experiments.library import Library, Problem
from experiments.protocols import Dataset, InMemory
from experiments.runs.pictures import is_image_batch
from quantlab.errors import DataError, UsageError, did_you_mean
from quantlab.pixels import check_8_bits

INPUTS = "inputs"  # the array of an .npz file


@dataclass(frozen=True, kw_only=True)
class FileReader:
    """Reads files as batches of a problem. samples: some of its data, for their shape."""

    problem: Problem
    library: Library
    samples: Dataset

    def read(self, path: Path) -> Tensor:
        """Return what is in a file as a raw batch `[N, ...]`: an image, the array `inputs` of an
        `.npz` file, the rows that the problem's `read_rows` reads, or the sample that its
        `read_file` does.

        Raises DataError for a file that cannot be read, UsageError where the problem has no
        `read_rows`.
        """
        if _is_array(path):
            return self._array(path)
        sample = self._in_memory()
        if sample is None and hasattr(self.problem.data, "read_file"):
            return self._file(path)
        if sample is None or _are_pixels(sample):
            return self._image(path, sample)
        return self._rows(path, sample)

    def is_sample(self, path: Path) -> bool:
        """Return whether a file is one sample, such as an image, and not several."""
        sample = self._in_memory()
        return not _is_array(path) and (sample is None or _are_pixels(sample))

    def _in_memory(self) -> Tensor | None:
        """Return a raw batch of one; None for data on disk, whose images the library reads."""
        return self.samples.inputs[:1] if isinstance(self.samples, InMemory) else None

    def _file(self, path: Path) -> Tensor:
        problem: Any = self.problem.data
        try:
            sample = problem.read_file(path)
        except OSError as error:
            raise DataError(f"{path}: {error.strerror or error}") from error
        return reading_of(self.library.preprocess).read_evaluate(sample).unsqueeze(0)

    def _image(self, path: Path, sample_NCHW: Tensor | None) -> Tensor:
        """Return an image as a batch of one: read as the library reads files, or resized to the
        shape of the data in memory."""
        try:
            image: Image.Image = Image.open(path)
            image.load()
        except UnidentifiedImageError as error:
            raise DataError(f"{path}: no image that can be read") from error
        except OSError as error:
            raise DataError(f"{path}: {error.strerror or error}") from error
        check_8_bits(image.mode, path)
        if sample_NCHW is None:
            pixels = reading_of(self.library.preprocess).read_evaluate(image.convert("RGB"))
            return pixels.unsqueeze(0)
        channels, height, width = sample_NCHW.shape[1:]
        image = image.convert("L" if channels == 1 else "RGB")
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        array_NHWC = np.array(image).reshape(1, height, width, channels)
        return torch.from_numpy(array_NHWC).permute(0, 3, 1, 2)

    def _rows(self, path: Path, sample: Tensor) -> Tensor:
        read: Any = getattr(self.problem.data, "read_rows", None)
        if read is None:
            shape = "x".join(map(str, sample.shape[1:]))
            raise UsageError(
                f"{path}: problems/{self.problem.name}/data.py defines no read_rows, which reads a "
                f"file as samples of {shape}; .npz files need none"
            )
        rows = read(path)
        if not isinstance(rows, Tensor):
            raise DataError(
                f"{path}: read_rows of problems/{self.problem.name}/data.py returned "
                f"{type(rows).__name__}; a tensor allowed"
            )
        return self._fitting(rows, sample, path)

    def _array(self, path: Path) -> Tensor:
        try:
            with path.open("rb") as file:
                if not zipfile.is_zipfile(file):
                    raise DataError(f"{path}: no .npz file that can be read")
                file.seek(0)
                arrays = np.load(file, allow_pickle=False)
                if INPUTS not in arrays:
                    names = ", ".join(arrays) or "nothing"
                    hint = did_you_mean(INPUTS, arrays)
                    raise DataError(f"{path}: no array '{INPUTS}'; there is {names}{hint}")
                values = torch.from_numpy(arrays[INPUTS])
        except OSError as error:
            raise DataError(f"{path}: {error.strerror or error}") from error
        except DataError:
            raise
        except (ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(f"{path}: no .npz file that can be read ({error})") from error
        return self._fitting(values, self._sample(), path)

    def _sample(self) -> Tensor:
        if isinstance(self.samples, InMemory):
            return self.samples.inputs[:1]
        return reading_of(self.library.preprocess).read_evaluate(self.samples.read(0)).unsqueeze(0)

    def _fitting(self, values: Tensor, sample: Tensor, path: Path) -> Tensor:
        """Return values in the type of a sample. Raises DataError unless they have its shape."""
        if values.shape[1:] != sample.shape[1:] or not len(values):
            raise DataError(
                f"{path}: shape {list(values.shape)} given; {_shape(sample)} allowed, N at least 1"
            )
        is_float = sample.is_floating_point() and not values.is_complex()
        if values.dtype != sample.dtype and not is_float:
            raise DataError(f"{path}: {values.dtype} given; {sample.dtype} allowed")
        converted = values.to(sample.dtype)
        check_finite(converted, str(path))
        return converted


def _is_array(path: Path) -> bool:
    return path.suffix.lower() == ".npz"


def _are_pixels(sample: Tensor) -> bool:
    return is_image_batch(sample) and sample.dtype == torch.uint8


def _shape(sample: Tensor) -> str:
    return f"[{', '.join(['N', *map(str, sample.shape[1:])])}]"
