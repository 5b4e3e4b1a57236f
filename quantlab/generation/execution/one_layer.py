"""A layer that torch computes, in one of the modes of `quantlab.generation.modes`."""

import torch
from torch import Tensor, nn

from quantlab.generation.execution.folded import Folded
from quantlab.generation.execution.steps import UNBOUNDED, Bounds
from quantlab.generation.execution.weight_bytes import WeightBytes
from quantlab.generation.factors import Factors
from quantlab.generation.modes import Mode, convolution


class OneLayer(nn.Module):
    """Owns the tensors of a layer as buffers; in mode `generated` the weight instead, floats that
    were computed once.

    Takes the input `[N, Ci, H, W]` or `[N, Ci]`, and a residual of the output's shape.
    """

    weight: Tensor
    bias: Tensor
    ratio: Tensor

    def __init__(self, layer: Folded, mode: Mode, *, bounds: Bounds, is_flat: bool) -> None:
        """Make it. is_flat: the output is `[N, Co]`."""
        super().__init__()
        self.mode, self.bounds, self.is_flat = mode, bounds, is_flat
        self._name, self._window = layer.name, layer.window
        tensors = layer.tensors
        if mode == "generated":
            weight = layer.floats().generate().contiguous(memory_format=torch.channels_last)
            tensors = {"weight": weight, "bias": layer.bias}
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor)

    @property
    def sizes(self) -> dict[str, WeightBytes]:
        """The bytes of the layer, by its path."""
        held = sum(buffer.numel() * buffer.element_size() for buffer in self.buffers())
        return {self._name: WeightBytes(held=held, read=held)}

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        image = x[..., None, None] if x.ndim == 2 else x
        y = convolution(image, self._factors(), self.bias, self._window, mode=self.mode)
        y = y.flatten(1) if self.is_flat else y
        if residual is not None:
            y = y.add_(residual) if y.shape == residual.shape else y + residual
        return y if self.bounds == UNBOUNDED else y.clamp_(*self.bounds)

    def extra_repr(self) -> str:
        return f"{self._name}, {self.mode}"

    def _factors(self) -> Factors:
        """Return factors of floats."""
        if self.mode == "generated":
            return Factors(coeff_out=None, coeff_in=None, basis=self.weight)
        buffers = dict(self.named_buffers())
        codes = Factors(
            coeff_out=buffers.get("coeff_out"),
            coeff_in=buffers.get("coeff_in"),
            basis=buffers["basis"],
        )
        layer = Folded(
            name=self._name,
            factors=codes,
            ratio=self.ratio,
            bias=self.bias,
            window=self._window,
        )
        return layer.floats()
