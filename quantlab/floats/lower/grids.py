"""Grids among the floats of a program: the quantizer of an input or output as one function.

    y = scale * clamp(floor(x / scale + 1/2), low, high)

each step in float32, which is to the bit what quantizers of evenly spaced codes let pass.
"""

import torch
from torch import Tensor

from quantlab.errors import UsageError
from quantlab.graphs.operations import Operation
from quantlab.numerics.affine import fake_quantize
from quantlab.quantizer import Quantizer

_MOST = 2**15  # of a code less the zero point
_PROBES_PER_STEP = 8


class OnGrid(Operation):
    """The nearest number of a grid. low, high: the ends of its codes, less the zero point."""

    def __init__(self, scale: float, low: int, high: int) -> None:
        super().__init__()
        self.scale, self.low, self.high = scale, low, high

    def forward(self, *tensors: Tensor) -> Tensor:
        (x,) = tensors
        scale = torch.tensor(self.scale, device=x.device)
        return fake_quantize(x, scale, None, quant_min=self.low, quant_max=self.high)

    def extra_repr(self) -> str:
        return f"scale={self.scale}, low={self.low}, high={self.high}"


@torch.no_grad()
def on_grid(quantizer: Quantizer, path: str) -> OnGrid:
    """Return what a quantizer lets pass, as an operation.

    path: its name, for errors. Raises UsageError for several scales, and for codes that are not
    those of the nearest of evenly spaced levels.
    """
    if quantizer.scale.numel() != 1:
        raise UsageError(
            f"{path}: {quantizer.spec} with {quantizer.scale.numel()} scales given, 1 allowed"
        )
    scale = quantizer.scale.detach().float().cpu().reshape(())
    zero = int(quantizer.zero_point.reshape(-1)[0])
    low, high = quantizer.spec.quant_min - zero, quantizer.spec.quant_max - zero
    if not torch.isfinite(scale) or scale <= 0 or max(-low, high) > _MOST:
        raise UsageError(
            f"{path}: a scale of {float(scale):.4g} and codes {low} to {high} beside the zero "
            f"point given, a finite scale above 0 and codes to {_MOST:,} allowed"
        )
    made = OnGrid(float(scale), low, high)
    steps = torch.arange((low - 2) * _PROBES_PER_STEP, (high + 2) * _PROBES_PER_STEP + 1)
    probes = (steps.float() / _PROBES_PER_STEP * scale).to(quantizer.scale.device)
    if not torch.equal(quantizer.fake_quantize(probes), made(probes)):
        raise UsageError(
            f"{path}: a {type(quantizer).__name__} of {quantizer.spec} given, codes of the nearest "
            "of evenly spaced levels allowed"
        )
    return made
