"""INQ and RPR: a part of the weights on the grid."""

import numpy as np

from quantlab.algorithms.partial import PartialQuantizer
from quantlab.quantizer import Quantizer
from tests.quantlab.algorithms.cases.case import Array, Case, steps


def _mask(q: Quantizer) -> Array:
    assert isinstance(q, PartialQuantizer)
    return q.mask.numpy()


def _partial(x: Array, q: Quantizer) -> Array:
    codes = np.asarray(q.spec.codes, dtype=np.float64)
    distance = np.abs(steps(x, q)[..., None] - codes)
    # The last of equally near ones: the upper.
    nearest = codes.size - 1 - distance[..., ::-1].argmin(-1)
    return np.where(_mask(q), codes[nearest] * q.scale.numpy(), x)


def _gradient(x: Array, q: Quantizer, grad: Array) -> Array:
    return np.where(_mask(q), 0, grad)


HALF = {"kind": "hand", "values": {0: 0.0, 1: 0.25, 2: 0.5}}
ALL = {"kind": "hand", "values": {0: 0.0, 1: 0.5, 2: 1.0}}


def _case(
    config: dict[str, object], *, is_projection: bool = True, is_learning: bool = True
) -> Case:
    return Case(
        config=config,
        forward=_partial,
        gradient=_gradient,
        targets=("weight",),
        is_projection=is_projection,
        is_learning=is_learning,
    )


CASES = {
    "inq half": _case({"kind": "inq", "num_levels": 5, "fraction": HALF}, is_projection=False),
    "inq": _case({"kind": "inq", "num_levels": 3, "fraction": ALL}, is_learning=False),
    "inq random per channel": _case(
        {
            "kind": "inq",
            "num_levels": 4,
            "levels": "uniform",
            "init": "mse",
            "strategy": "random",
            "granularity": "per_axis:0",
            "reset_optimizer": False,
            "fraction": HALF,
        },
        is_projection=False,
    ),
    "rpr": _case({"kind": "rpr", "num_levels": 3, "fraction": HALF}),
    "rpr powers": _case(
        {
            "kind": "rpr",
            "num_levels": 7,
            "levels": "power_of_two",
            "fraction": {"kind": "linear", "end": 9, "initial": 0.2, "final": 1.0},
        }
    ),
}
