"""Raw samples of a data set, as integer programs take them: images uint8 `[N, C, H, W]`, or rows
`[N, F]` of numbers that the library's `NORMALIZATION` encodes."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from experiments.data.loader import reading_of
from experiments.data.reading import read_batch
from experiments.library import Library
from experiments.protocols import Dataset, InMemory
from quantlab.errors import UsageError
from quantlab.integer.encoding import Encoding


def raw_samples(samples: Dataset, library: Library, count: int) -> tuple[Tensor, Tensor]:
    """Return so many samples from all over a data set, and their targets.

    All of them if there are fewer. Raises UsageError for samples of another kind.
    """
    return _read(samples, library, _spread(len(samples), count))


def raw_batches(
    samples: Dataset, library: Library, count: int, batch_size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield samples and targets of `raw_samples` batch by batch, each read when it is asked for:
    a data set on disk may be larger than memory."""
    indices = _spread(len(samples), count)
    for start in range(0, len(indices), batch_size):
        yield _read(samples, library, indices[start : start + batch_size])


def _spread(total: int, count: int) -> Sequence[int]:
    count = min(count, total)
    # Data sets often have one class after the other.
    return [number * total // count for number in range(count)]


def _read(samples: Dataset, library: Library, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
    if isinstance(samples, InMemory):
        raw = samples.inputs[indices]
    else:
        read = reading_of(library.preprocess).read_evaluate
        raw = read_batch(samples, indices, lambda sample, _: read(sample))
    check_raw(raw, library)
    return raw, samples.targets[indices]


def encoding_of(library: Library) -> Encoding | None:
    """Return how the library's raw rows become integers; None where raw samples are integers."""
    normalization: Any = getattr(library.preprocess, "NORMALIZATION", None)
    encoding: Encoding | None = getattr(normalization, "encoding", None)
    return encoding


def check_raw(raw: Tensor, library: Library) -> None:
    """Raise UsageError unless a raw batch is what an integer program of this library takes."""
    encoding = encoding_of(library)
    if encoding is not None:
        num_features = len(encoding.names)
        if raw.shape[1:] != (num_features,) or raw.is_complex():
            raise UsageError(
                f"{library.name}: samples of {raw.dtype}, shape {list(raw.shape[1:])} given; its "
                f"NORMALIZATION encodes rows of {num_features} numbers"
            )
    elif raw.dtype != torch.uint8 or raw.ndim != 4:
        raise UsageError(
            f"{library.name}: samples of {raw.dtype}, {raw.ndim} axes given; an integer "
            "program takes uint8, 4 axes, or rows that a Standardization as NORMALIZATION encodes"
        )
