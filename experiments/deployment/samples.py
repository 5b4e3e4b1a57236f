"""Raw samples of a data set, as integer programs take them: images uint8 `[N, C, H, W]`."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from experiments.data.loader import reading_of
from experiments.library import Library
from experiments.protocols import Dataset, InMemory
from quantlab.errors import UsageError


def raw_samples(samples: Dataset, library: Library, count: int) -> tuple[Tensor, Tensor]:
    """Return so many images from all over a data set, and their targets.

    All of them if there are fewer. Raises UsageError for samples of another kind.
    """
    return _read(samples, library, _spread(len(samples), count))


def raw_batches(
    samples: Dataset, library: Library, count: int, batch_size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the images and targets of `raw_samples` batch by batch, each read when it is asked for:
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
        images = samples.inputs[indices]
    else:
        read = reading_of(library.preprocess).read_evaluate
        images = torch.stack([read(samples.read(index)) for index in indices])
    if images.dtype != torch.uint8 or images.ndim != 4:
        raise UsageError(
            f"{library.name}: samples of {images.dtype}, {images.ndim} axes given; an integer "
            "program takes uint8, 4 axes"
        )
    return images, samples.targets[indices]
