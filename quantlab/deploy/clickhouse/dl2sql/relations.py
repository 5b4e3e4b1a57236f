"""The tables of a program's constants, floats all.

kernels     a weight a row, zeros too
offsets     what a neuron begins with
paddings    what stands beyond the border of each channel
levels      the thresholds of each channel
scales      factors and offset of each cell, an element of what the constants broadcast to
lookups     the result of each code, the lowest code first
"""

from collections.abc import Mapping

from quantlab.deploy.clickhouse.relational.relations import Kinds

_LAYER = {"layer": "String"}

RELATIONS: Mapping[str, Kinds] = {
    "kernels": {
        **_LAYER,
        "neuron": "UInt32",
        "tap": "UInt32",
        "channel": "UInt32",
        "weight": "Float64",
    },
    "offsets": {**_LAYER, "neuron": "UInt32", "bias": "Float64"},
    "paddings": {**_LAYER, "channel": "UInt32", "code": "Float64"},
    "levels": {**_LAYER, "channel": "UInt32", "sign": "Float64", "threshold": "Float64"},
    "scales": {
        **_LAYER,
        "cell": "UInt32",
        "left_scale": "Float64",
        "right_scale": "Float64",
        "offset": "Float64",
    },
    "lookups": {**_LAYER, "entry": "UInt32", "result": "Float64"},
}
