"""ANA: the distributions from scipy."""

from collections.abc import Callable

import numpy as np
from scipy import stats

from quantlab.algorithms.ana import AnaQuantizer
from quantlab.quantizer import Quantizer
from tests.quantlab.algorithms.cases.case import Array, Case, midpoints, steps

NOISES = {
    "uniform": stats.uniform(-np.sqrt(3), 2 * np.sqrt(3)),
    "triangular": stats.triang(0.5, -np.sqrt(6), 2 * np.sqrt(6)),
    "normal": stats.norm(),
    "logistic": stats.logistic(scale=np.sqrt(3) / np.pi),
}


def _noise(q: Quantizer) -> Array:
    assert isinstance(q, AnaQuantizer)
    return q.noise.numpy()


def _expectation(kind: str) -> Callable[[Array, Quantizer], Array]:
    def forward(x: Array, q: Quantizer) -> Array:
        u = (steps(x, q)[..., None] - midpoints(q)) / _noise(q)[0]
        rises = np.diff(q.spec.codes) * NOISES[kind].cdf(u)
        return (q.spec.codes[0] + rises.sum(-1)) * q.scale.numpy()

    return forward


def _mode(kind: str) -> Callable[[Array, Quantizer], Array]:
    def forward(x: Array, q: Quantizer) -> Array:
        over = NOISES[kind].cdf((steps(x, q)[..., None] - midpoints(q)) / _noise(q)[0])
        ones, zeros = np.ones_like(over[..., :1]), np.zeros_like(over[..., :1])
        probability = -np.diff(np.concatenate([ones, over, zeros], -1))
        last = probability.shape[-1] - 1 - probability[..., ::-1].argmax(-1)
        return np.asarray(q.spec.codes)[last] * q.scale.numpy()

    return forward


def _gradient(kind: str) -> Callable[[Array, Quantizer, Array], Array]:
    def gradient(x: Array, q: Quantizer, grad: Array) -> Array:
        b = _noise(q)[1]
        u = (steps(x, q)[..., None] - midpoints(q)) / b
        return grad * (np.diff(q.spec.codes) * NOISES[kind].pdf(u) / b).sum(-1)

    return gradient


def _case(kind: str, forward: str = "expectation") -> Case:
    return Case(
        config={
            "kind": "ana",
            "num_levels": 3 if kind != "normal" else 4,
            "noise_kind": kind,
            "forward": forward,
            "noise": {"kind": "linear", "end": 8, "initial": 0.4, "final": 0.0},
            "noise_backward": {"kind": "constant", "value": 0.3},
            "stagger": 0.5,
        },
        forward=_expectation(kind) if forward == "expectation" else _mode(kind),
        gradient=_gradient(kind),
        is_clipping=kind in ("uniform", "triangular"),
    )


CASES = {
    **{f"ana {kind}": _case(kind) for kind in NOISES},
    "ana mode": _case("triangular", "mode"),
}
