"""What convolutions with the kept weights only have, in any precision."""

from collections.abc import Sequence
from typing import Literal, Self, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from quantlab.errors import UsageError
from quantlab.sparse.geometry import Geometry, Pair
from quantlab.sparse.layer import SparseLayer

PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]


class Conv2dLayer(SparseLayer):
    """A convolution of images `[B, C, H, W]` or `[C, H, W]`, on the CPU.

    weight: dense, `[O, C / groups, kH, kW]`; kept is what is not zero, or the mask's. geometry:
    with the padding by zeros on both sides. extra_padding: left, right, top and bottom, done
    before, by `padding_mode`.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        mask: Tensor | None = None,
        *,
        geometry: Geometry,
        extra_padding: Sequence[int] = (0, 0, 0, 0),
        padding_mode: PaddingMode = "zeros",
    ) -> None:
        if weight.ndim != 4 or tuple(weight.shape[2:]) != geometry.kernel:
            kernel = " x ".join(map(str, geometry.kernel))
            raise UsageError(f"weight: {list(weight.shape)} given; [O, C, ...] of {kernel} allowed")
        super().__init__(weight, bias, mask, geometry)
        self.extra_padding, self.padding_mode = tuple(extra_padding), padding_mode
        self.in_channels = weight.shape[1] * geometry.groups

    @classmethod
    def from_dense(cls, conv: nn.Conv2d, mask: Tensor | None = None) -> Self:
        """Return the sparse layer of a dense one's nonzero weights, or of those of a mask."""
        around = tuple(conv._reversed_padding_repeated_twice)  # left, right, top, bottom
        is_even = around[0] == around[1] and around[2] == around[3]
        is_inside = conv.padding_mode == "zeros" and is_even
        geometry = Geometry(
            kernel=_pair(conv.kernel_size),
            stride=_pair(conv.stride),
            padding=(around[2], around[0]) if is_inside else (0, 0),
            dilation=_pair(conv.dilation),
            groups=conv.groups,
        )
        layer = cls(
            conv.weight,
            conv.bias,
            mask,
            geometry=geometry,
            extra_padding=(0, 0, 0, 0) if is_inside else around,
            padding_mode=conv.padding_mode,
        )
        return layer.train(conv.training)

    def to_dense(self) -> nn.Conv2d:
        """Return the dense layer that computes the same; uneven zeros around become `padding` of
        the larger side only where they were."""
        weight, geometry = self.dense_weight(), self._geometry
        padding: Pair | str = geometry.padding
        left, right, top, bottom = self.extra_padding
        if any(self.extra_padding):
            padding = (top, left) if (left, top) == (right, bottom) else "same"
        with torch.device("meta"):
            conv = nn.Conv2d(
                self.in_channels,
                weight.shape[0],
                geometry.kernel,
                geometry.stride,
                padding,
                geometry.dilation,
                geometry.groups,
                self.bias is not None,
                self.padding_mode,
            )
        conv.weight = nn.Parameter(weight.detach())
        if self.bias is not None:
            conv.bias = nn.Parameter(self.bias.detach().clone())
        return conv.train(self.training)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output, `[B, O, H', W']` or `[O, H', W']`. Raises UsageError."""
        if x.ndim not in (3, 4) or x.shape[-3] != self.in_channels:
            raise UsageError(
                f"input: {list(x.shape)} given; [B, {self.in_channels}, H, W] or "
                f"[{self.in_channels}, H, W] allowed"
            )
        images = x if x.ndim == 4 else x.unsqueeze(0)
        if any(self.extra_padding):
            mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
            images = F.pad(images, list(self.extra_padding), mode=mode)
        y = self._product(self.in_own_type(images))
        return y if x.ndim == 4 else y.squeeze(0)

    def extra_repr(self) -> str:
        """Return what printing shows."""
        g = self._geometry
        return f"{super().extra_repr()}, stride={g.stride}, padding={g.padding}, groups={g.groups}"


def _pair(sizes: tuple[int, ...]) -> Pair:
    return cast(Pair, sizes)
