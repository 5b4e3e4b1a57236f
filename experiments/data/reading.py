"""Samples of a data set on disk, read and made tensors."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from experiments.data.checks import stacked
from experiments.protocols import OnDisk
from quantlab.errors import DataError, QuantLabError


def read_batch(
    dataset: OnDisk, indices: Sequence[int], convert: Callable[[Any, int], Tensor]
) -> Tensor:
    """Return samples as a batch `[N, ...]`.

    convert: makes a sample, the n-th of the batch, a tensor. Raises DataError, with the sample, for
    one that cannot be read, and as `stacked` does.
    """
    tensors = []
    for position, index in enumerate(indices):
        try:
            tensors.append(convert(dataset.read(index), position))
        except QuantLabError:
            raise
        # A damaged file can make its decoder raise nearly anything.
        except Exception as error:
            reason = (str(error).splitlines() or ["no message"])[0]
            raise DataError(
                f"sample {index}: cannot be read: {type(error).__name__}: {reason}"
            ) from error
    return stacked(tensors, indices)
