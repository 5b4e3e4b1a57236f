"""What a problem's data must be, seen before anything is trained on it.

Data in memory is checked whole, once it is loaded; data on disk sample by sample, as it is read.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from experiments.protocols import Data, InMemory
from quantlab.errors import DataError

_PARTS = ("train", "test")
_OF_DATASETS = ("read", "targets", "classes", "__len__")


def check_data(data: Data, problem: str) -> None:
    """Raise DataError, with the sample and the value, for data that cannot be trained on."""
    if not isinstance(data, Data):
        raise DataError(f"{problem}: load returned {_kind(data)}; Data allowed")
    for part in _PARTS:
        _check_dataset(getattr(data, part), f"{problem}, {part}")
    train, test = data.train, data.test
    if tuple(train.classes) != tuple(test.classes):
        raise DataError(
            f"{problem}: train has {len(train.classes)} classes, test {len(test.classes)}; the "
            "same in the same order allowed"
        )
    pairs = [("targets", train.targets, test.targets)]
    if isinstance(train, InMemory) and isinstance(test, InMemory):
        pairs.append(("inputs", train.inputs, test.inputs))
    for name, one, other in pairs:
        if one.ndim != other.ndim or one.dtype != other.dtype:
            raise DataError(
                f"{problem}: {name} of {_described(one)} to train, {_described(other)} to test; "
                "the same type and as many axes allowed"
            )


def check_finite(values: Tensor, name: str, indices: Sequence[int] | None = None) -> None:
    """Raise DataError for the first sample with a number that is not finite.

    values: `[N, ...]`. indices: which samples of the data set they are; None for all.
    """
    if not values.is_floating_point() or bool(torch.isfinite(values).all()):
        return
    sample, *place = (~torch.isfinite(values)).nonzero()[0].tolist()
    number = values[(sample, *place)].item()
    at = f" at {place}" if place else ""
    sample = sample if indices is None else indices[sample]
    raise DataError(f"{name}: {number} in sample {sample}{at}; finite numbers allowed")


def stacked(samples: Sequence[Any], indices: Sequence[int]) -> Tensor:
    """Return samples as a library has read them, `[N, ...]`.

    Raises DataError, with the sample, for what is no tensor, and for another shape or type than the
    first sample's or a number that is not finite.
    """
    first = samples[0]
    for index, sample in zip(indices, samples, strict=True):
        if not isinstance(sample, Tensor):
            raise DataError(f"sample {index}: {_kind(sample)} read; a tensor allowed")
        if sample.shape != first.shape or sample.dtype != first.dtype:
            raise DataError(
                f"sample {index}: {_described(sample, whole=True)} read, but of sample "
                f"{indices[0]} {_described(first, whole=True)}; the same allowed: resize or crop"
            )
    batch = torch.stack(list(samples))
    check_finite(batch, "data", indices)
    return batch


def _check_dataset(dataset: Any, name: str) -> None:
    is_in_memory = isinstance(dataset, InMemory)
    lacking = [part for part in _OF_DATASETS if not hasattr(dataset, part)]
    if not is_in_memory and lacking:
        raise DataError(
            f"{name}: {_kind(dataset)} given, without {', '.join(lacking)}; InMemory, or a class "
            "with read(index), targets, classes and a length, allowed"
        )
    tensors = {"targets": dataset.targets}
    if is_in_memory:
        tensors["inputs"] = dataset.inputs
    for kind, values in tensors.items():
        if not isinstance(values, Tensor):
            raise DataError(f"{name} {kind}: {_kind(values)} given; a tensor allowed")
        if not values.ndim or values.is_complex():
            raise DataError(
                f"{name} {kind}: {_described(values, whole=True)} given; [N, ...] of real numbers "
                "allowed"
            )
    num_inputs = len(dataset.inputs) if is_in_memory else len(dataset)
    if num_inputs != len(dataset.targets):
        raise DataError(
            f"{name}: {num_inputs} samples and {len(dataset.targets)} targets given; as many of "
            "each allowed"
        )
    if not num_inputs:
        raise DataError(f"{name}: 0 samples given; at least 1 allowed")
    for kind, values in tensors.items():
        check_finite(values, f"{name} {kind}")
    _check_classes(dataset.classes, dataset.targets, name)


def _check_classes(classes: Sequence[str], targets: Tensor, name: str) -> None:
    """Targets `[N]` of a data set with classes are their places. Other targets mean what the loss
    and the meter take them for."""
    if not isinstance(classes, Sequence):
        raise DataError(
            f"{name} classes: {_kind(classes)} given; a tuple of texts allowed, () for no classes"
        )
    for position, one in enumerate(classes):
        if not isinstance(one, str):
            raise DataError(f"{name} classes: {one!r} given at {position}; texts allowed")
    if not classes or targets.ndim != 1:
        return
    if targets.dtype != torch.int64:
        raise DataError(
            f"{name} targets: {_described(targets)} given for {len(classes)} classes; torch.int64 "
            "allowed, or no classes for targets that are numbers"
        )
    is_outside = (targets < 0) | (targets >= len(classes))
    if is_outside.any():
        sample = int(is_outside.nonzero()[0])
        raise DataError(
            f"{name} targets: {int(targets[sample])} given for sample {sample}; 0 to "
            f"{len(classes) - 1} allowed, the places of {len(classes)} classes"
        )


def _described(values: Tensor, *, whole: bool = False) -> str:
    shape = list(values.shape) if whole else ["N", *values.shape[1:]]
    return f"{values.dtype} [{', '.join(map(str, shape))}]"


def _kind(value: object) -> str:
    return type(value).__name__
