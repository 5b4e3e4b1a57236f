"""Numbers that are finite, or an error that says which are not."""

import torch
from torch import Tensor

from quantlab.errors import UsageError
from quantlab.integer.lower.grid import Reals


def check_finite(tensor: Tensor, name: str) -> None:
    """Raise UsageError, with the tensor's name, if one of its numbers is not finite."""
    if not torch.isfinite(tensor).all():
        kind = "NaN" if tensor.isnan().any() else "infinite numbers"
        raise UsageError(f"{name}: {kind} given, finite numbers allowed")


def finite(tensor: Tensor, name: str) -> Reals:
    """Return a tensor's numbers in float64. Raises UsageError if one is not finite."""
    check_finite(tensor, name)
    reals: Reals = tensor.detach().double().cpu().numpy()
    return reals
