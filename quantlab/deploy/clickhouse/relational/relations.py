"""The tables of a program's constants.

`layer` is the key of an operation: rows of all layers of all models share the tables.

words       the weights of a neuron, 64 channels of a tap a row: a bit of `mask` is set where the
            weight is not 0, a bit of `sign` where it is 1; words of zeros have no row
weights     a weight a row, where it is not 0
biases      what a neuron begins with
paddings    what stands beyond the border of each channel
thresholds  the levels of each channel
rescales    multipliers, offset and shift; a cell is an element of what they broadcast to
lookups     the result of each code, the lowest code first
"""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

Kinds = Mapping[str, str]  # the type of each column
Rows = Mapping[str, NDArray[Any]]  # the rows of a table, column by column

_LAYER = {"layer": "String"}

RELATIONS: Mapping[str, Kinds] = {
    "words": {
        **_LAYER,
        "neuron": "UInt32",
        "tap": "UInt32",
        "word": "UInt32",
        "sign": "UInt64",
        "mask": "UInt64",
    },
    "weights": {
        **_LAYER,
        "neuron": "UInt32",
        "tap": "UInt32",
        "channel": "UInt32",
        "weight": "Int8",
    },
    "biases": {**_LAYER, "neuron": "UInt32", "bias": "Int32"},
    "paddings": {**_LAYER, "channel": "UInt32", "code": "Int32"},
    "thresholds": {
        **_LAYER,
        "channel": "UInt32",
        "level": "UInt32",
        "sign": "Int8",
        "threshold": "Int64",
    },
    "rescales": {
        **_LAYER,
        "cell": "UInt32",
        "left_multiplier": "Int32",
        "right_multiplier": "Int32",
        "offset": "Int64",
        "shift": "UInt8",
    },
    "lookups": {**_LAYER, "entry": "UInt32", "result": "Int32"},
}
