"""Tensors as they are kept to be run: integer codes and their scale, or floats."""

import torch
from torch import Tensor, nn

from quantlab.quantizer import Quantizer


def codes_of(tensor: Tensor, quantizer: nn.Module | None) -> tuple[Tensor, Tensor]:
    """Return what is kept of a tensor `[R, ...]`, and what it is multiplied by, `[]` or `[R]`.

    The first are codes, int8 or int16, if the quantizer puts numbers on a grid around zero with one
    scale, or one of each row; else floats of 32 bits, quantized.
    """
    values, one = tensor.detach(), torch.ones((), dtype=torch.float32)
    if not isinstance(quantizer, Quantizer) or not quantizer.is_enabled:
        return values.float().clone(), one
    with torch.no_grad():
        scale, levels = quantizer.scale.detach(), quantizer.spec.codes
        is_by_rows = scale.shape == (len(values), *[1] * (values.ndim - 1))
        dtype = _narrowest(levels[0], levels[-1])
        if quantizer.zero_point.any() or not (is_by_rows or scale.numel() == 1) or dtype is None:
            return quantizer(values).float().clone(), one
        rows = scale.float().reshape(-1 if is_by_rows else ()).clone()
        return quantizer.codes(values).to(dtype), rows


def _narrowest(lowest: int, highest: int) -> torch.dtype | None:
    """Return the smallest integers that have all codes, None above 16 bits."""
    for dtype in (torch.int8, torch.int16):
        ends = torch.iinfo(dtype)
        if ends.min <= lowest and highest <= ends.max:
            return dtype
    return None
