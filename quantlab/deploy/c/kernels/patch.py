"""What the windows of neighboring places read: `ql_fill_patch` copies it, unless it is one stretch
of memory as it is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.kernels.kernel import Factors
from quantlab.integer.tensor_type import TensorType

PLACES = 4  # QL_SPARSE_PLACES
PATCH_CODE = {"sparse_patch": 404}


def is_in_place(factors: Factors) -> bool:
    """Return whether windows are of one row and within the input, so that nothing is copied."""
    return factors.windows.kernel[0] == 1 and not factors.windows.is_padded


def num_turns(factors: Factors) -> tuple[int, int]:
    """Return how often places are made at once, and how many one by one."""
    rows, columns = factors.num_places
    windows = factors.windows
    if windows.kernel == windows.stride == (1, 1) and not windows.is_padded:
        rows, columns = 1, rows * columns
    return rows * (columns // PLACES), rows * (columns % PLACES)


@dataclass(frozen=True, kw_only=True)
class Steps:
    """Instructions of a Cortex-M4. span: to begin a span of an output. entry: of a stored weight,
    or block of weights."""

    span: float
    entry: float


def estimated(
    factors: Factors, num_spans: float, num_entries: float, at_once: Steps, single: Steps
) -> float:
    """Return about how many instructions the products of a layer take.

    num_spans, num_entries: of all outputs. at_once, single: what they take for places that are made
    at once, and for one.
    """
    patch_of_four = 300 if is_in_place(factors) else 780
    turns = zip(num_turns(factors), (patch_of_four, 200), (at_once, single), strict=True)
    return sum(
        turn * (begin + num_spans * steps.span + num_entries * steps.entry)
        for turn, begin, steps in turns
    )


def patch(factors: Factors) -> TensorType:
    """Return the elements of a patch, row by row."""
    rows, _ = factors.windows.kernel
    return TensorType((rows, _pitch(factors)), factors.kind)


def on_patch(factors: Factors) -> NDArray[np.int8]:
    """Return the weights `[O, elements of a patch]` of the first of its windows, up to the last
    element that the window reads."""
    outputs, rows, _, per_group = factors.weight.shape
    channels, dilation = per_group * factors.groups, factors.windows.dilation[1]
    found = np.zeros((outputs, rows, _pitch(factors) // channels, channels), np.int8)
    per_output = outputs // factors.groups
    for group in range(factors.groups):
        own = slice(group * per_output, (group + 1) * per_output)
        read = slice(group * per_group, (group + 1) * per_group)
        found[own, :, : _reach(factors) : dilation, read] = factors.weight[own]
    size = (rows - 1) * _pitch(factors) + _reach(factors) * channels
    return found.reshape(outputs, -1)[:, :size]


def spans(factors: Factors) -> NDArray[np.int8]:
    """Return the weights `[spans of all outputs, elements of a span]`: a span is a row of the
    kernel, or one place of it where the kernel has gaps or groups."""
    weight = np.ascontiguousarray(factors.weight)
    outputs, rows, columns, channels = weight.shape
    if factors.groups == factors.windows.dilation[1] == 1:
        return weight.reshape(outputs * rows, columns * channels)
    return weight.reshape(outputs * rows * columns, channels)


def _reach(factors: Factors) -> int:
    """Return the columns of the input from the first to the last of a window."""
    return (factors.windows.kernel[1] - 1) * factors.windows.dilation[1] + 1


def _pitch(factors: Factors) -> int:
    """Return the elements of a row of a patch."""
    width = _reach(factors) + (PLACES - 1) * factors.windows.stride[1]
    channels: int = factors.weight.shape[3] * factors.groups
    return width * channels
