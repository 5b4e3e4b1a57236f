"""The rows of an operation's constants."""

from collections.abc import Mapping
from functools import singledispatch
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.clickhouse.relational.relations import Rows
from quantlab.integer.layout.levels import Levels
from quantlab.integer.operations import Convolution, Linear, Lookup, Operation, Threshold
from quantlab.integer.operations.rescale import Rescale


@singledispatch
def rows_of(operation: Operation, levels: Mapping[str, Levels]) -> Mapping[str, Rows]:
    """Return an operation's rows, by the names of `RELATIONS`, without the column `layer`."""
    return {}


@rows_of.register(Convolution)
@rows_of.register(Linear)
def _(operation: Convolution | Linear, levels: Mapping[str, Levels]) -> Mapping[str, Rows]:
    num_outputs, num_channels, *_ = operation.weight.shape
    groups = operation.groups if isinstance(operation, Convolution) else 1
    weight = operation.weight.reshape(num_outputs, num_channels, -1)
    neuron, channel, tap = np.indices(weight.shape, np.uint32)
    first = neuron // (num_outputs // groups) * num_channels
    found: dict[str, Rows] = {
        "kernels": {
            "neuron": neuron.reshape(-1),
            "tap": tap.reshape(-1),
            "channel": (first + channel).astype(np.uint32).reshape(-1),
            "weight": weight.astype(np.float64).reshape(-1),
        },
        "offsets": {
            "neuron": np.arange(num_outputs, dtype=np.uint32),
            "bias": operation.bias.astype(np.float64),
        },
    }
    if isinstance(operation, Convolution) and operation.windows.is_padded:
        found["paddings"] = {
            "channel": np.arange(len(operation.padding_codes), dtype=np.uint32),
            "code": operation.padding_codes.astype(np.float64),
        }
    return found


@rows_of.register
def _(operation: Threshold, levels: Mapping[str, Levels]) -> Mapping[str, Rows]:
    channel, _ = np.indices(operation.thresholds.shape, np.uint32)
    rows: Rows = {
        "channel": channel.reshape(-1),
        "sign": operation.signs.astype(np.float64)[channel.reshape(-1)],
        "threshold": operation.thresholds.astype(np.float64).reshape(-1),
    }
    return {"levels": rows}


@rows_of.register
def _(operation: Rescale, levels: Mapping[str, Levels]) -> Mapping[str, Rows]:
    arrays: list[NDArray[Any]] = [*operation.multipliers, operation.offset, operation.shift]
    cells = [array.reshape(-1).astype(np.float64) for array in np.broadcast_arrays(*arrays)]
    *numerators, shift = cells
    scales = [numerator / 2.0**shift for numerator in numerators]
    rows: Rows = {
        "cell": np.arange(len(shift), dtype=np.uint32),
        "left_scale": scales[0],
        "right_scale": scales[1] if len(scales) == 3 else np.zeros_like(shift),
        "offset": scales[-1],
    }
    return {"scales": rows}


@rows_of.register
def _(operation: Lookup, levels: Mapping[str, Levels]) -> Mapping[str, Rows]:
    entries = np.arange(len(operation.table), dtype=np.uint32)
    return {"lookups": {"entry": entries, "result": operation.table.astype(np.float64)}}
