"""Raw samples of a data set, as integer programs take them."""

import torch
from torch import Tensor

from experiments.data.loader import reading_of
from experiments.library import Library
from experiments.protocols import Dataset, InMemory
from quantlab.errors import UsageError


def raw_samples(samples: Dataset, library: Library, count: int) -> tuple[Tensor, Tensor]:
    """Return so many images from all over a data set, uint8 `[N, C, H, W]`, and their targets.

    All of them if there are fewer. Raises UsageError for samples of another kind.
    """
    count = min(count, len(samples))
    # Data sets often have one class after the other.
    indices = [number * len(samples) // count for number in range(count)]
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
