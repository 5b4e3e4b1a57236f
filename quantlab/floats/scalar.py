"""Functions of one number in 32-bit floats, operation by operation as `deploy/c/runtime/scalar*.c`:
both give the same bits, and NaN of NaN, whatever its bits."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def exp(x: Floats) -> Floats:
    """Return e^x; 0 below -87, and beyond 88 as of 88. S. L. Moshier, Cephes, expf."""
    bounded = np.fmin(np.fmax(x, _of(-87.0)), _of(88.0))
    scaled = bounded * _hex("0x1.715476p+0")
    n = np.where(scaled < 0, scaled - _of(0.5), scaled + _of(0.5)).astype(np.int32)
    whole = n.astype(np.float32)
    rest = bounded - whole * _hex("0x1.63p-1") - whole * _hex("-0x1.bd0106p-13")
    y = _polynomial(
        rest,
        "0x1.a0d2cep-13", "0x1.6e879cp-10", "0x1.11121p-7", "0x1.555382p-5", "0x1.555554p-3",
        "0x1p-1",
    )  # fmt: skip
    y = y * (rest * rest) + rest + _of(1.0)
    power = ((n + 127) << 23).astype(np.int32).view(np.float32)
    result = np.where(x < _of(-87.0), _of(0.0), y * power)
    return np.asarray(np.where(np.isnan(x), x, result))


def log(x: Floats) -> Floats:
    """Return the natural logarithm of normal numbers above 0. S. L. Moshier, Cephes, logf."""
    bits = x.view(np.int32)
    n = (bits >> 23) - 126
    rest = ((bits & 0x7FFFFF) | 0x3F000000).view(np.float32)
    is_small = rest < _hex("0x1.6a09e6p-1")
    n = np.where(is_small, n - 1, n)
    rest = np.where(is_small, rest + rest - _of(1.0), rest - _of(1.0))
    square = rest * rest
    y = _polynomial(
        rest,
        "0x1.204376p-4", "-0x1.d7a37p-4", "0x1.de4a34p-4", "-0x1.fcba9ep-4", "0x1.23d37ep-3",
        "-0x1.555cap-3", "0x1.999d58p-3", "-0x1.fffff8p-3", "0x1.555554p-2",
    )  # fmt: skip
    whole = n.astype(np.float32)
    y = y * rest * square
    y = y + whole * _hex("-0x1.bd0106p-13")
    y = y - _of(0.5) * square
    result = rest + y + whole * _hex("0x1.63p-1")
    return np.asarray(np.where(np.isnan(x), x, result))


def tanh(x: Floats) -> Floats:
    """Return the hyperbolic tangent. S. L. Moshier, Cephes, tanhf."""
    size = np.where(x < 0, -x, x)
    square = x * x
    small = _polynomial(
        square,
        "-0x1.75e1d4p-8", "0x1.52269cp-6", "-0x1.b83c5ap-5", "0x1.110726p-3", "-0x1.555532p-2",
    )  # fmt: skip
    small = small * square * x + x
    large = _of(1.0) - _of(2.0) / (exp(size + size) + _of(1.0))
    return np.asarray(np.where(size < _of(0.625), small, np.where(x < 0, -large, large)))


def sigmoid(x: Floats) -> Floats:
    """Return 1 / (1 + e^-x)."""
    result: Floats = _of(1.0) / (_of(1.0) + exp(-x))
    return result


def erf(x: Floats) -> Floats:
    """Return the error function. M. Abramowitz, I. A. Stegun, 1964, 7.1.26."""
    size = np.where(x < 0, -x, x)
    t = _of(1.0) / (_of(1.0) + _hex("0x1.4f740ap-2") * size)
    y = _polynomial(
        t, "0x1.0fb844p+0", "-0x1.7401c6p+0", "0x1.6be1c6p+0", "-0x1.23531cp-2", "0x1.04f20cp-2"
    )
    y = _of(1.0) - y * t * exp(-(size * size))
    return np.asarray(np.where(x < 0, -y, y))


def softplus(x: Floats, factor: np.float32, end: np.float32) -> Floats:
    """Return log(1 + e^(factor x)) / factor, or x where factor x is beyond `end`."""
    scaled = x * factor
    return np.asarray(np.where(scaled > end, x, log(_of(1.0) + exp(scaled)) / factor))


def _of(number: float) -> Any:
    return np.float32(number)


def _hex(text: str) -> Any:
    return np.float32(float.fromhex(text))


def _polynomial(x: Floats, first: str, *rest: str) -> Floats:
    y = np.full_like(x, _hex(first))
    for coefficient in rest:
        y = y * x + _hex(coefficient)
    return y
