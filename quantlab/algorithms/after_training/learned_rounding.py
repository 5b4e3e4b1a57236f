"""Learned rounding: of the two codes nearest to each weight, those with the least error together.

Nearest rounding is best for each weight alone, but not for what the layer computes of them all. Of
a weight W with the scale s, the codes are (M. Nagel et al., Up or Down? Adaptive Rounding for
Post-Training Quantization, 2020, arXiv:2004.10568, equations 21 to 25)

    W~ = s clamp(floor(W / s) + h(V), quant_min, quant_max)                               (22)
    h(V) = clamp(sigmoid(V) (zeta - gamma) + gamma, 0, 1),  zeta = 1.1, gamma = -0.1      (23)

where V starts so that W~ = W and is trained by Adam to minimize, over samples of the inputs,

    mean squared error(W~) / the same with nearest rounding
        + regularization mean(1 - |2 h(V) - 1|^beta)                                      (24)

with the errors that the caller defines; see `adaround`. There is no regularization in the warm
start; then beta falls from 20 to 2, so that h(V) is let go at first and driven to 0 or 1 in the
end. Each h(V) is then rounded. The paper has sums for means and no divisor: so a regularization
suits some layers only, the less the smaller their outputs are.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from quantlab.errors import UsageError
from quantlab.quantizer import Quantizer

ZETA, GAMMA = 1.1, -0.1
_PROGRESS_STEPS = 100


@dataclass(frozen=True, kw_only=True)
class AdaRoundSettings:
    """How rounding is learned; see the module.

    num_steps: for each layer. batch_size: samples of a step.
    warm_start: the share of the steps without regularization.
    beta_start, beta_end: of the regularization's exponent, which falls linearly after that.
    """

    num_steps: int = 2000
    batch_size: int = 32
    lr: float = 0.01
    regularization: float = 100.0
    warm_start: float = 0.2
    beta_start: float = 20.0
    beta_end: float = 2.0

    def __post_init__(self) -> None:
        for name, least in (("num_steps", 1), ("batch_size", 1), ("regularization", 0)):
            if not getattr(self, name) >= least:
                raise UsageError(f"{name}: {getattr(self, name)} given, at least {least} allowed")
        if not self.lr > 0:
            raise UsageError(f"lr: {self.lr} given, above 0 allowed")
        if not 0 <= self.warm_start < 1:
            raise UsageError(f"warm_start: {self.warm_start} given, 0 to below 1 allowed")

    def beta(self, step: int) -> float | None:
        """Return the regularization's exponent in a step, None where there is none."""
        first = self.warm_start * self.num_steps
        if step < first:
            return None
        left = 1.0 - (step - first) / (self.num_steps - first)
        return self.beta_end + (self.beta_start - self.beta_end) * left


def rectified_sigmoid(v: Tensor) -> Tensor:
    """Return h(V), equation 23; any shape."""
    return (torch.sigmoid(v) * (ZETA - GAMMA) + GAMMA).clamp(0.0, 1.0)


def inverse_rectified_sigmoid(h: Tensor) -> Tensor:
    """Return the V at which h(V) is `h`, from 0 to 1."""
    return torch.logit((h - GAMMA) / (ZETA - GAMMA))


def rounding_regularization(h: Tensor, beta: float) -> Tensor:
    """Return the mean of equation 24, a scalar: 0 where all of h is 0 or 1, 1 where it is 1/2."""
    return (1.0 - (2.0 * h - 1.0).abs().pow(beta)).mean()


def learn_codes(
    weight: Tensor,
    quantizer: Quantizer,
    squared_errors: Callable[[Tensor, Tensor], Tensor],
    *,
    num_samples: int,
    unit: float,
    settings: AdaRoundSettings,
    generator: torch.Generator,
    on_step: Callable[[int], None] = lambda step: None,
) -> Tensor:
    """Return the codes of a weight, int32, each one of the two nearest, by equations 21 to 24.

    squared_errors: of the outputs, any shape, of a weight and the indices of samples.
    unit: their mean with nearest rounding.
    """
    scale, zero_point = quantizer.scale.detach(), quantizer.zero_point
    steps = quantizer.split(weight) / scale
    lower = steps.floor()
    v = inverse_rectified_sigmoid(steps - lower).requires_grad_()
    optimizer = torch.optim.Adam([v], lr=settings.lr)
    low, high = quantizer.quant_min - zero_point, quantizer.quant_max - zero_point
    for step in range(settings.num_steps):
        index = torch.randint(num_samples, (settings.batch_size,), generator=generator)
        with torch.enable_grad():
            h = rectified_sigmoid(v)
            soft = ((lower + h).clamp(low, high) * scale).reshape(weight.shape)
            errors = squared_errors(soft, index.to(weight.device))
            loss = errors.mean() / unit
            beta = settings.beta(step)
            if beta is not None:
                loss = loss + settings.regularization * rounding_regularization(h, beta)
            optimizer.zero_grad()
            loss.backward()
        optimizer.step()
        if (step + 1) % _PROGRESS_STEPS == 0:
            on_step(step + 1)
    with torch.no_grad():
        codes = (lower + (rectified_sigmoid(v) >= 0.5)).clamp(low, high) + zero_point
        return codes.to(torch.int32).reshape(weight.shape)
