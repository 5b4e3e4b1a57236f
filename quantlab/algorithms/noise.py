"""The distributions of ANA's noise, of mean 0 and standard deviation 1.

name         density f(u)                             support
uniform      1 / (2 sqrt 3)                           |u| <= sqrt 3
triangular   (1 - |u| / sqrt 6) / sqrt 6              |u| <= sqrt 6
normal       exp(-u^2 / 2) / sqrt(2 pi)
logistic     k / (4 cosh(k u / 2)^2), k = pi / sqrt 3
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

NoiseKind = Literal["uniform", "triangular", "normal", "logistic"]

_K = math.pi / math.sqrt(3.0)


class Noise(Protocol):
    """A distribution over real numbers, elementwise on tensors of any shape."""

    def cdf(self, u: Tensor) -> Tensor: ...

    def density(self, u: Tensor) -> Tensor: ...

    def quantile(self, p: Tensor) -> Tensor:
        """The inverse of `cdf`, for p in (0, 1): it makes noise of uniform draws."""
        ...


@dataclass(frozen=True)
class Uniform:
    """See the module."""

    end: float = math.sqrt(3.0)

    def cdf(self, u: Tensor) -> Tensor:
        return (u / (2.0 * self.end) + 0.5).clamp(0.0, 1.0)

    def density(self, u: Tensor) -> Tensor:
        return (u.abs() <= self.end).to(u.dtype) / (2.0 * self.end)

    def quantile(self, p: Tensor) -> Tensor:
        return (2.0 * p - 1.0) * self.end


@dataclass(frozen=True)
class Triangular:
    """See the module."""

    end: float = math.sqrt(6.0)

    def cdf(self, u: Tensor) -> Tensor:
        v = (u / self.end).clamp(-1.0, 1.0)
        return 0.5 + v - 0.5 * v * v.abs()

    def density(self, u: Tensor) -> Tensor:
        return (1.0 - u.abs() / self.end).clamp(min=0.0) / self.end

    def quantile(self, p: Tensor) -> Tensor:
        tail = torch.minimum(p, 1.0 - p)
        return torch.sign(p - 0.5) * (1.0 - (2.0 * tail).sqrt()) * self.end


@dataclass(frozen=True)
class Normal:
    """See the module."""

    def cdf(self, u: Tensor) -> Tensor:
        share: Tensor = torch.special.ndtr(u)
        return share

    def density(self, u: Tensor) -> Tensor:
        return (-0.5 * u * u).exp() / math.sqrt(2.0 * math.pi)

    def quantile(self, p: Tensor) -> Tensor:
        u: Tensor = torch.special.ndtri(p)
        return u


@dataclass(frozen=True)
class Logistic:
    """See the module."""

    def cdf(self, u: Tensor) -> Tensor:
        return torch.sigmoid(_K * u)

    def density(self, u: Tensor) -> Tensor:
        share = torch.sigmoid(_K * u)
        return _K * share * (1.0 - share)

    def quantile(self, p: Tensor) -> Tensor:
        return torch.logit(p) / _K


NOISES: Mapping[NoiseKind, Noise] = {
    "uniform": Uniform(),
    "triangular": Triangular(),
    "normal": Normal(),
    "logistic": Logistic(),
}
