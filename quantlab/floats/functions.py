"""Row functions: what operations make of each number, of two, or of one and constants.

The table has each by the name that it has in C (`ql_float_add` in `runtime/float_add.c`), with its
meaning in NumPy. The operations of both are the same, in one order: so are their bits.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.floats import scalar

Floats = NDArray[np.float32]
Constants = tuple[float, ...]


@dataclass(frozen=True)
class Function:
    """A row function and its constants."""

    name: str
    constants: Constants = ()

    def of(self, x: Floats, other: Floats) -> Floats:
        """Return what it makes of numbers; `other` counts where it takes two."""
        constants = np.array(self.constants, np.float32)
        with np.errstate(all="ignore"):
            y: Floats = np.asarray(FUNCTIONS[self.name](x, other, constants), np.float32)
        return y


def _clamp(x: Floats, low: Any, high: Any) -> Floats:
    return np.asarray(np.where(x < low, low, np.where(x > high, high, x)))


def _on_grid(x: Floats, constants: Floats) -> Floats:
    """Return the nearest number of a grid. constants: its scale, and the ends of its codes."""
    scale, low, high = constants
    return np.asarray(np.floor(_clamp(x / scale + np.float32(0.5), low, high)) * scale)


def _gelu_tanh(x: Floats) -> Floats:
    cubic = _hex("0x1.6e4e26p-5") * x * x * x
    shares: Floats = _one() + scalar.tanh(_hex("0x1.988454p-1") * (x + cubic))
    return _half(x) * shares


def _six_times(x: Floats) -> Floats:
    return _clamp(x + np.float32(3), np.float32(0), np.float32(6))


def _absolute(x: Floats) -> Floats:
    return np.asarray(np.where(x < 0, -x, x))


def _half(x: Floats) -> Floats:
    return np.asarray(np.float32(0.5) * x)


def _one() -> Any:
    return np.float32(1)


def _hex(text: str) -> Any:
    return np.float32(float.fromhex(text))


_Meaning = Callable[[Floats, Floats, Floats], Floats]
FUNCTIONS: Mapping[str, _Meaning] = {
    "copy": lambda x, other, c: x,
    "second": lambda x, other, c: np.broadcast_to(other, x.shape),
    "add": lambda x, other, c: x + other,
    "subtract": lambda x, other, c: x - other,
    "multiply": lambda x, other, c: x * other,
    "divide": lambda x, other, c: x / other,
    "maximum": lambda x, other, c: np.where(x > other, x, other),
    "minimum": lambda x, other, c: np.where(x < other, x, other),
    "prelu": lambda x, other, c: np.where(x < 0, x * other, x),
    "at_least": lambda x, other, c: np.where(x < c[0], c[0], x),
    "at_most": lambda x, other, c: np.where(x > c[0], c[0], x),
    "clamp": lambda x, other, c: _clamp(x, c[0], c[1]),
    "leaky": lambda x, other, c: np.where(x < 0, x * c[0], x),
    "on_grid": lambda x, other, c: _on_grid(x, c),
    "absolute": lambda x, other, c: _absolute(x),
    "softsign": lambda x, other, c: x / (_one() + _absolute(x)),
    "elu": lambda x, other, c: np.where(x < 0, c[0] * (scalar.exp(x) - _one()), x),
    "exponential": lambda x, other, c: scalar.exp(x),
    "sigmoid": lambda x, other, c: scalar.sigmoid(x),
    "silu": lambda x, other, c: x * scalar.sigmoid(x),
    "tanh": lambda x, other, c: scalar.tanh(x),
    "softplus": lambda x, other, c: scalar.softplus(x, c[0], c[1]),
    "mish": lambda x, other, c: x * scalar.tanh(scalar.softplus(x, _one(), np.float32(20))),
    "hardsigmoid": lambda x, other, c: _six_times(x) / np.float32(6),
    "hardswish": lambda x, other, c: x * _six_times(x) / np.float32(6),
    "gelu": lambda x, other, c: _half(x) * (_one() + scalar.erf(x * _hex("0x1.6a09e6p-1"))),
    "gelu_tanh": lambda x, other, c: _gelu_tanh(x),
}
