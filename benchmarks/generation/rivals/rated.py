"""A rate term for quantized weights: the bits that an ideal entropy coder takes for their codes are
part of the loss (D. Oktay et al., "Scalable model compression by entropy penalized
reparameterization", 2019, equation 2; S. Wiedemann et al., "EC2T", 2020, for ternary weights).

With the scale s of a layer, the share p of each code k in it, and l(k) = -log2 p(k):

    rate(w) = (1 - f) l(k) + f l(k + 1),   w / s = k + f,   0 <= f < 1

whose gradient, (l(k + 1) - l(k)) / s, moves a weight to the likelier neighbor. Shares and scales
are taken as constants. The rate's weight in the loss rises while the rate is above the target and
falls below it, so that training ends at the bytes that were asked for.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from quantlab.quantizer import Quantizer

_FIRST_WEIGHT = 1e-3
_RANGE = (1e-6, 1e3)


class RatedCrossEntropy(nn.Module):
    """Cross entropy plus a weight times the bits of a weight, which training steers.

    network: whose layers have quantizers of their parameters, of levels one apart, with a scale for
        each tensor or output channel.
    target_bytes: of the codes of all these parameters together.
    growth: of the weight's logarithm in a step, at a rate of twice the target or more.
    """

    log_weight: Tensor

    def __init__(
        self,
        network: nn.Module,
        target_bytes: int,
        growth: float = 0.01,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        self.cross_entropy = nn.CrossEntropyLoss(label_smoothing=label_smoothing)
        self._rated = rated(network)  # a tuple, so that the network is no part of the loss
        self.num_weights, self.growth = sum(one.parameter.numel() for one in self._rated), growth
        self.target_bits = 8.0 * target_bytes / self.num_weights
        self.register_buffer("log_weight", torch.tensor(math.log(_FIRST_WEIGHT)))

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        loss: Tensor = self.cross_entropy(outputs, targets)
        if not torch.is_grad_enabled():
            return loss
        bits = rate(self._rated) / self.num_weights
        with torch.no_grad():
            excess = (bits / self.target_bits - 1.0).clamp(-1.0, 1.0)
            low, high = (math.log(end) for end in _RANGE)
            self.log_weight.add_(self.growth * excess).clamp_(low, high)
        return loss + self.log_weight.exp() * bits


@dataclass(frozen=True, kw_only=True)
class Rated:
    """A parameter and its quantizer."""

    parameter: nn.Parameter
    quantizer: Quantizer


def rated(network: nn.Module) -> tuple[Rated, ...]:
    """Return the parameters that have a quantizer: weights, and factors of generated weights."""
    return tuple(
        Rated(parameter=parameter, quantizer=quantizer)
        for module in network.modules()
        for name, parameter in module.named_parameters(recurse=False)
        if isinstance(quantizer := module._modules.get(f"{name}_quantizer"), Quantizer)
    )


def rate(parameters: Sequence[Rated]) -> Tensor:
    """Return the bits of all codes, a scalar with the gradient of the module's formula."""
    bits = [rate_of(one.parameter, one.quantizer) for one in parameters]
    return torch.stack(bits).sum()


def rate_of(weight: Tensor, quantizer: Quantizer) -> Tensor:
    """Return the bits of one parameter's codes."""
    low, high = quantizer.quant_min, quantizer.quant_max
    scale = quantizer.scale.detach().float()
    scaled = (weight.float() / scale).clamp(low, high)
    with torch.no_grad():
        codes = torch.floor(scaled + 0.5)
        counts = torch.stack([(codes == code).sum() for code in range(low, high + 1)])
        lengths = -torch.log2((counts + 1) / (weight.numel() + len(counts)))
        below = torch.floor(scaled).clamp(max=high - 1)
        places = (below - low).long()
        of_below, of_above = lengths[places], lengths[places + 1]
    share = scaled - below
    return (of_below * (1.0 - share) + of_above * share).sum()
