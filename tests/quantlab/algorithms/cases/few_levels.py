"""TWN, binary and DoReFa."""

import numpy as np

from quantlab.algorithms.dorefa import DorefaWeightQuantizer
from quantlab.algorithms.ternary import TernaryQuantizer
from quantlab.quantizer import Quantizer
from tests.quantlab.algorithms.cases.case import Array, Case, on_grid, steps


def _threshold(q: Quantizer) -> Array:
    assert isinstance(q, TernaryQuantizer)
    return q.threshold.numpy().astype(np.float64)


def _twn(x: Array, q: Quantizer) -> Array:
    return np.sign(x) * (np.abs(x) > _threshold(q)) * q.scale.numpy()


def _twn_ties(q: Quantizer) -> Array:
    ends = _threshold(q) / q.scale.numpy().astype(np.float64)
    return np.stack([-ends, ends])


def _identity(x: Array, q: Quantizer, grad: Array) -> Array:
    return grad


def _sign(x: Array, q: Quantizer) -> Array:
    return np.where(x >= 0, 1.0, -1.0) * q.scale.numpy()


def _straight(x: Array, q: Quantizer, grad: Array) -> Array:
    return grad * (np.abs(x) <= 1)


def _xnor(x: Array, q: Quantizer, grad: Array) -> Array:
    scale = q.scale.numpy()
    return grad * (scale.size / x.size + scale * (np.abs(x) <= 1))


def _bireal(x: Array, q: Quantizer, grad: Array) -> Array:
    return grad * np.maximum(2 - 2 * np.abs(x), 0)


def _squash(x: Array, q: Quantizer) -> Array:
    assert isinstance(q, DorefaWeightQuantizer)
    n = 2**q.spec.num_bits - 1
    share = np.clip(np.tanh(x) / (2 * q.widest.numpy()) + 0.5, 0, 1)
    return (2 * np.floor(n * share + 0.5) - n) * q.scale.numpy()


def _squash_gradient(x: Array, q: Quantizer, grad: Array) -> Array:
    assert isinstance(q, DorefaWeightQuantizer)
    n = 2**q.spec.num_bits - 1
    return grad * (1 - np.tanh(x) ** 2) * (q.scale.numpy() * n / q.widest.numpy())


def _squash_ties(q: Quantizer) -> Array:
    assert isinstance(q, DorefaWeightQuantizer)
    n = 2**q.spec.num_bits - 1
    middles = np.arange(-n + 1, n, 2) / n
    widest, scale = q.widest.numpy().astype(np.float64), q.scale.numpy().astype(np.float64)
    return np.arctanh(middles * widest) / scale


def _within(x: Array, q: Quantizer, grad: Array) -> Array:
    return grad * ((steps(x, q) >= 0) & (steps(x, q) <= q.spec.quant_max))


CASES = {
    "twn": Case(
        config={"kind": "twn"},
        forward=_twn,
        gradient=_identity,
        ties=_twn_ties,
        targets=("weight",),
        is_clipping=False,
    ),
    "binary": Case(
        config={"kind": "binary"},
        forward=_sign,
        gradient=_straight,
        targets=("weight",),
        is_clipping=False,
    ),
    "binary xnor": Case(
        config={"kind": "binary", "gradient": "xnor"},
        forward=_sign,
        gradient=_xnor,
        targets=("weight",),
        is_clipping=False,
    ),
    "binary input": Case(
        config={"kind": "binary"},
        forward=_sign,
        gradient=_bireal,
        targets=("input", "output"),
    ),
    "binary input straight": Case(
        config={"kind": "binary", "gradient": "straight"},
        forward=_sign,
        gradient=_straight,
        targets=("input", "output"),
    ),
    "dorefa weight": Case(
        config={"kind": "dorefa", "num_bits": 3},
        forward=_squash,
        gradient=_squash_gradient,
        ties=_squash_ties,
        targets=("weight",),
        is_projection=False,
        is_clipping=False,
    ),
    "dorefa_sym": Case(
        config={"kind": "dorefa_sym", "num_bits": 3},
        forward=_squash,
        gradient=_squash_gradient,
        ties=_squash_ties,
        targets=("weight",),
        is_projection=False,
        is_clipping=False,
    ),
    "dorefa_sym of 1 bit": Case(
        config={"kind": "dorefa_sym", "num_bits": 1},
        forward=_sign,
        gradient=_identity,
        targets=("weight",),
        is_clipping=False,
    ),
    "dorefa weight as in the paper": Case(
        config={"kind": "dorefa", "num_bits": 2, "keep_range": False},
        forward=_squash,
        gradient=_squash_gradient,
        ties=_squash_ties,
        targets=("weight",),
        is_projection=False,
        is_clipping=False,
    ),
    "dorefa weight of 1 bit": Case(
        config={"kind": "dorefa", "num_bits": 1},
        forward=_sign,
        gradient=_identity,
        targets=("weight",),
        is_clipping=False,
    ),
    "dorefa input": Case(
        config={"kind": "dorefa", "num_bits": 4},
        forward=on_grid,
        gradient=_within,
        targets=("input", "output"),
    ),
}
