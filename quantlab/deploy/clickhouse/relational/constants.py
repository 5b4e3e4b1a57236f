"""The rows of an operation's constants."""

from collections.abc import Mapping
from functools import singledispatch
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.clickhouse.relational.choice import planes_read
from quantlab.deploy.clickhouse.relational.relations import Rows
from quantlab.integer.layout.levels import Levels
from quantlab.integer.layout.words import num_words, pack
from quantlab.integer.operations import Convolution, Linear, Lookup, Operation, Threshold
from quantlab.integer.operations.rescale import Rescale

_WIDTH = 64  # bits of a word


@singledispatch
def rows_of(operation: Operation, levels: Mapping[str, Levels]) -> Mapping[str, Rows]:
    """Return an operation's rows, by the names of `RELATIONS`, without the column `layer`.

    levels: of each tensor of the program. Operations without constants have none.
    """
    return {}


@rows_of.register(Convolution)
@rows_of.register(Linear)
def _(operation: Convolution | Linear, levels: Mapping[str, Levels]) -> Mapping[str, Rows]:
    is_counted = planes_read(operation, levels) is not None
    products = _words(operation) if is_counted else _weights(operation)
    neurons = np.arange(len(operation.bias), dtype=np.uint32)
    found = {
        "words" if is_counted else "weights": products,
        "biases": {"neuron": neurons, "bias": operation.bias},
    }
    if isinstance(operation, Convolution) and operation.windows.is_padded:
        channels = np.arange(len(operation.padding_codes), dtype=np.uint32)
        found["paddings"] = {"channel": channels, "code": operation.padding_codes}
    return found


def _words(layer: Convolution | Linear) -> Rows:
    num_outputs, num_channels, *_ = layer.weight.shape
    by_tap = layer.weight.reshape(num_outputs, num_channels, -1).transpose(0, 2, 1)
    sign = pack((by_tap > 0).astype(np.uint8), _WIDTH)
    mask = pack((by_tap != 0).astype(np.uint8), _WIDTH)
    neuron, tap, word = np.nonzero(mask)
    first = _group_of(layer)[neuron] * num_words(num_channels, _WIDTH)
    return {
        "neuron": neuron.astype(np.uint32),
        "tap": tap.astype(np.uint32),
        "word": (first + word).astype(np.uint32),
        "sign": sign[neuron, tap, word],
        "mask": mask[neuron, tap, word],
    }


def _weights(layer: Convolution | Linear) -> Rows:
    num_outputs, num_channels, *_ = layer.weight.shape
    by_tap = layer.weight.reshape(num_outputs, num_channels, -1).transpose(0, 2, 1)
    neuron, tap, channel = np.nonzero(by_tap)
    first = _group_of(layer)[neuron] * num_channels
    return {
        "neuron": neuron.astype(np.uint32),
        "tap": tap.astype(np.uint32),
        "channel": (first + channel).astype(np.uint32),
        "weight": by_tap[neuron, tap, channel],
    }


def _group_of(layer: Convolution | Linear) -> NDArray[np.intp]:
    """Return the group of each neuron."""
    groups = layer.groups if isinstance(layer, Convolution) else 1
    return np.arange(len(layer.bias)) // (len(layer.bias) // groups)


@rows_of.register
def _(operation: Threshold, levels: Mapping[str, Levels]) -> Mapping[str, Rows]:
    channel, level = np.indices(operation.thresholds.shape, np.uint32)
    rows: Rows = {
        "channel": channel.reshape(-1),
        "level": level.reshape(-1),
        "sign": np.repeat(operation.signs, operation.thresholds.shape[1]),
        "threshold": operation.thresholds.reshape(-1),
    }
    return {"thresholds": rows}


@rows_of.register
def _(operation: Rescale, levels: Mapping[str, Levels]) -> Mapping[str, Rows]:
    arrays: list[NDArray[Any]] = [*operation.multipliers, operation.offset, operation.shift]
    cells = [array.reshape(-1) for array in np.broadcast_arrays(*arrays)]
    left, right = cells[0], cells[1] if len(arrays) == 4 else np.zeros_like(cells[0])
    rows = {
        "cell": np.arange(len(left), dtype=np.uint32),
        "left_multiplier": left,
        "right_multiplier": right,
        "offset": cells[-2],
        "shift": cells[-1].astype(np.uint8),
    }
    return {"rescales": rows}


@rows_of.register
def _(operation: Lookup, levels: Mapping[str, Levels]) -> Mapping[str, Rows]:
    entries = np.arange(len(operation.table), dtype=np.uint32)
    return {"lookups": {"entry": entries, "result": operation.table.astype(np.int32)}}
