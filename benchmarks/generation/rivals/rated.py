"""A rate term for quantized weights that is steered: the bits that an entropy coder takes for their
codes are part of the loss (see `quantlab.algorithms.rate`; S. Wiedemann et al., "EC2T", 2020, for
ternary weights).

The rate's weight in the loss rises while the rate is above the target and falls below it, so that
training ends at the bytes that were asked for.
"""

import math

import torch
from torch import Tensor, nn

from quantlab.algorithms.rate import num_quantized, rate_of

_FIRST_WEIGHT = 1e-3
_RANGE = (1e-6, 1e3)


class RatedCrossEntropy(nn.Module):
    """Cross entropy plus a weight times the bits of a weight, which training steers.

    network: whose weights or factors have quantizers. target_bytes: of all their codes together.
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
        self._network = (network,)  # a tuple, so that the network is no part of the loss
        self.num_weights, self.growth = num_quantized(network), growth
        self.target_bits = 8.0 * target_bytes / self.num_weights
        self.register_buffer("log_weight", torch.tensor(math.log(_FIRST_WEIGHT)))

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        loss: Tensor = self.cross_entropy(outputs, targets)
        if not torch.is_grad_enabled():
            return loss
        bits = rate_of(self._network[0]) / self.num_weights
        with torch.no_grad():
            excess = (bits / self.target_bits - 1.0).clamp(-1.0, 1.0)
            low, high = (math.log(end) for end in _RANGE)
            self.log_weight.add_(self.growth * excess).clamp_(low, high)
        return loss + self.log_weight.exp() * bits
