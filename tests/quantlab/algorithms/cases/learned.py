"""LSQ, PACT and TQT: the gradients of what is learned, from the papers' formulas."""

import numpy as np

from quantlab.algorithms.lsq import LsqQuantizer
from quantlab.algorithms.pact import PactQuantizer
from quantlab.algorithms.tqt import TqtQuantizer
from quantlab.quantizer import Quantizer
from tests.quantlab.algorithms.cases.case import Array, Case, bounds, on_grid, steps, sum_to


def _inside(x: Array, q: Quantizer) -> Array:
    low, high = bounds(q)
    return (steps(x, q) >= low) & (steps(x, q) <= high)


def _gradient(x: Array, q: Quantizer, grad: Array) -> Array:
    return grad * _inside(x, q)


def _num_sharing(x: Array, q: Quantizer, on_weight: bool) -> float:
    return x.size / q.scale.numel() if on_weight else x.size / x.shape[0]


def _lsq_slope(x: Array, q: Quantizer) -> Array:
    low, high = bounds(q)
    v = steps(x, q)
    return np.where(v < low, low, np.where(v > high, high, np.floor(v + 0.5) - v))


def _lsq(x: Array, q: Quantizer, grad: Array) -> dict[str, Array]:
    assert isinstance(q, LsqQuantizer)
    factor = 1 / np.sqrt(_num_sharing(x, q, q.observer is None) * q.spec.quant_max)
    shape = tuple(q.step_size.shape)
    return {"step_size": sum_to(grad * _lsq_slope(x, q), shape) * factor}


def _lsq_plus(x: Array, q: Quantizer, grad: Array) -> dict[str, Array]:
    low, high = bounds(q)
    v = steps(x, q)
    factor = 1 / np.sqrt(_num_sharing(x, q, False) * q.spec.quant_max)
    slope = np.where(v < low, 0, np.where(v > high, high - low, np.floor(v + 0.5) - v))
    return {
        "step_size": np.asarray((grad * slope).sum() * factor),
        "offset": np.asarray((grad * ~_inside(x, q)).sum() * factor),
    }


def _pact(x: Array, q: Quantizer, grad: Array) -> dict[str, Array]:
    assert isinstance(q, PactQuantizer)
    low, high = bounds(q)
    v = steps(x, q)
    slope = np.where(v > high, 1, np.where(v < low, q.spec.quant_min / q.spec.quant_max, 0))
    return {"high": sum_to(grad * slope, tuple(q.high.shape))}


def _pact_both(x: Array, q: Quantizer, grad: Array) -> dict[str, Array]:
    low, high = bounds(q)
    v = steps(x, q)
    return {
        "high": np.asarray((grad * (v > high)).sum()),
        "low": np.asarray((grad * (v < low)).sum()),
    }


def _tqt(x: Array, q: Quantizer, grad: Array) -> dict[str, Array]:
    assert isinstance(q, TqtQuantizer)
    scale = q.scale.detach().numpy()
    summed = sum_to(grad * _lsq_slope(x, q), tuple(scale.shape)) * np.log(2)
    factor = 1 / np.sqrt(_num_sharing(x, q, q.observer is None) * q.spec.quant_max)
    return {"log2_threshold": summed * factor / scale}


def _tqt_plain(x: Array, q: Quantizer, grad: Array) -> dict[str, Array]:
    scale = q.scale.detach().numpy()
    return {
        "log2_threshold": sum_to(grad * _lsq_slope(x, q), tuple(scale.shape)) * np.log(2) * scale
    }


CASES = {
    "lsq": Case(
        config={"kind": "lsq", "num_bits": 4},
        forward=on_grid,
        gradient=_gradient,
        parameter_gradients=_lsq,
    ),
    "lsq 2 bits": Case(
        config={"kind": "lsq", "num_bits": 2},
        forward=on_grid,
        gradient=_gradient,
        parameter_gradients=_lsq,
    ),
    "lsq+": Case(
        config={"kind": "lsq", "num_bits": 4, "symmetric": False},
        forward=on_grid,
        gradient=_gradient,
        parameter_gradients=_lsq_plus,
        targets=("input", "output"),
    ),
    "pact": Case(
        config={"kind": "pact", "num_bits": 4},
        forward=on_grid,
        gradient=_gradient,
        parameter_gradients=_pact,
        # With the widest number as the end, nothing would be clipped.
        by_target={"weight": {"weight_range": "mean"}},
    ),
    "pact asymmetric": Case(
        config={"kind": "pact", "num_bits": 4, "symmetric": False},
        forward=on_grid,
        gradient=_gradient,
        parameter_gradients=_pact_both,
        targets=("input", "output"),
    ),
    "tqt": Case(
        config={"kind": "tqt", "num_bits": 4},
        forward=on_grid,
        gradient=_gradient,
        parameter_gradients=_tqt,
    ),
    "tqt plain": Case(
        config={"kind": "tqt", "num_bits": 4, "gradient": "plain"},
        forward=on_grid,
        gradient=_gradient,
        parameter_gradients=_tqt_plain,
    ),
}
