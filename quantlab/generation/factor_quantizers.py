"""The quantizers of factors."""

import torch
from torch import Tensor

from quantlab.algorithms.dorefa import weight_quantizer
from quantlab.algorithms.lsq import LsqConfig, LsqQuantizer
from quantlab.algorithms.ste import SteConfig, SteQuantizer
from quantlab.generation.spec import FLOAT_BITS, FactorName, MLGSpec
from quantlab.numerics.granularity import PerTensor
from quantlab.quantizer import Quantizer


def factor_quantizer(spec: MLGSpec, name: FactorName, latent: Tensor) -> Quantizer | None:
    """Return the quantizer of a factor, started with the range of its numbers; None for floats.

    All numbers of a factor share a scale. That of `dorefa_sym` follows them in training, that of
    `midtread` stays.
    """
    num_bits, tensor = spec.bits[name], PerTensor()
    if num_bits == FLOAT_BITS:
        return None
    quantizer: Quantizer
    match spec.quantizer:
        case "dorefa_sym":
            quantizer = weight_quantizer(
                latent, num_bits=num_bits, granularity=tensor, largest="squashed"
            )
            quantizer.set_observing(True)
        case "lsq":
            lsq = LsqConfig(num_bits=num_bits, granularity=tensor)
            quantizer = lsq.quantizer("weight", latent)
        case "midtread":
            ste = SteConfig(num_bits=num_bits, granularity=tensor, weight_range="mse")
            quantizer = ste.quantizer("weight", latent)
    quantizer.set_enabled(True)
    return quantizer


@torch.no_grad()
def set_scale(quantizer: Quantizer, scale: Tensor) -> None:
    """Set the scale of a factor's quantizer; that of `dorefa_sym` follows from the factor alone."""
    match quantizer:
        case LsqQuantizer():
            quantizer.step_size.copy_(scale)
        case SteQuantizer():
            quantizer.scale.copy_(scale)
