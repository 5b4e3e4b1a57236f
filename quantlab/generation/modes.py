"""The ways to compute a generated layer, all with the same result but for rounding.

    generated    W = V U B as one weight, then the convolution with W
    two_stage    t = x * (U B), a convolution to the R bases; y = V t, 1x1
    factored     u = U x, 1x1 to R L channels; t = u * B, depthwise, summed over L; y = V t, 1x1

`generate` has the weight as a sum over bases, and convolution is linear, so the sums may be taken
in any order. Only the first forms a weight, and only its backward pass a gradient of one; the
others keep u and t instead. Borders of zeros lie before B, since a pointwise stage keeps zeros; all
others are laid around x. Shapes of V, U and B are those of `shapes`.
"""

from dataclasses import dataclass
from functools import reduce
from typing import Any, Literal, Protocol, Self, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from quantlab.errors import UsageError, did_you_mean
from quantlab.generation.factors import Factors
from quantlab.generation.generate import generate
from quantlab.generation.precision import without_autocast

Mode = Literal["generated", "two_stage", "factored"]
MODES: tuple[Mode, ...] = get_args(Mode)


class Levels(Protocol):
    """Anything that says which levels a weight has: Factors, or FactorShapes."""

    @property
    def coeff_out(self) -> object: ...


@dataclass(frozen=True, kw_only=True)
class Window:
    """How a convolution passes over its input; as of nn.Conv2d."""

    stride: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] | str = (0, 0)
    dilation: tuple[int, ...] = (1, 1)
    groups: int = 1
    padding_mode: str = "zeros"

    @classmethod
    def of(cls, layer: nn.Conv2d) -> Self:
        """Return that of a layer."""
        return cls(
            stride=layer.stride,
            padding=layer.padding,
            dilation=layer.dilation,
            groups=layer.groups,
            padding_mode=layer.padding_mode,
        )

    def edges(self, kernel: tuple[int, ...]) -> tuple[int, ...]:
        """Return the pixels laid around an input: left, right, top, bottom."""
        if self.padding == "valid":
            return (0, 0, 0, 0)
        if self.padding == "same":
            added = [d * (side - 1) for d, side in zip(self.dilation, kernel, strict=True)]
            pairs = [(all_ // 2, all_ - all_ // 2) for all_ in added]
        else:
            assert not isinstance(self.padding, str)
            pairs = [(one, one) for one in self.padding]
        return (*pairs[1], *pairs[0])


def modes_of(levels: Levels) -> tuple[Mode, ...]:
    """Return the modes in which a weight of these levels can be computed.

    Without coeff_out the convolution with U B is the layer itself, so that there are no two stages.
    Without coeff_in the factored mode has no stage of it and is the same as two stages.
    """
    return MODES if levels.coeff_out is not None else ("generated", "factored")


def check_mode(levels: Levels, mode: str) -> None:
    """Raise UsageError for a mode that there is not, or that a weight of these levels has not."""
    if mode not in MODES:
        raise UsageError(
            f"mode: {mode!r} given, {', '.join(MODES)} allowed{did_you_mean(str(mode), MODES)}"
        )
    allowed = modes_of(levels)
    if mode not in allowed:
        raise UsageError(
            f"mode: '{mode}' given for a weight without coeff_out, {', '.join(allowed)} allowed"
        )


def convolution(
    x: Tensor, factors: Factors, bias: Tensor | None, window: Window, *, mode: Mode
) -> Tensor:
    """Return the convolution `[N, Co, H', W']` of x `[N, groups Ci, H, W]` with the weight of
    factors `[Co, Ci, Kh, Kw]`; also of x without N. Groups share their bases.

    bias: `[Co]`. Raises UsageError; see `check_mode`.
    """
    check_mode(factors, mode)
    v, u, b = factors.coeff_out, factors.coeff_in, factors.basis
    groups = window.groups
    padding: Any = window.padding
    if window.padding_mode != "zeros":
        x = functional.pad(x, window.edges(tuple(b.shape[2:])), mode=window.padding_mode)
        padding = (0, 0)
    over = {"stride": window.stride, "padding": padding, "dilation": window.dilation}
    if mode == "generated":
        return functional.conv2d(x, _weight(v, u, b), bias, groups=groups, **over)
    last = bias if v is None else None
    if u is None or mode == "two_stage":
        whole = _weight(None, u, b)
        # With V all groups have all bases; without it each has those of its own outputs.
        each = whole if v is None or groups == 1 else torch.cat([whole] * groups)
        t = functional.conv2d(x, each, last, groups=groups, **over)
    else:
        rows = _by_group(u.mT, groups, is_shared=v is not None)[..., None, None]
        channels = functional.conv2d(x, rows, groups=groups)
        kernels = _by_group(b, groups, is_shared=v is not None)[:, None]
        terms = functional.conv2d(channels, kernels, groups=len(kernels), **over)
        t = _summed(terms, groups, b.shape[1])
        if last is not None:
            t = t + last[:, None, None].to(t.dtype)
    return t if v is None else functional.conv2d(t, v[..., None, None], bias, groups=groups)


def linear(x: Tensor, factors: Factors, bias: Tensor | None, *, mode: Mode) -> Tensor:
    """Return the product `[..., Co]` of x `[..., Ci s]` with the weight of factors `[Co, Ci, s]`,
    of which B is `[R, L, s]`, or `[R, Ci, s]` without U.

    bias: `[Co]`. Raises UsageError; see `check_mode`.
    """
    check_mode(factors, mode)
    v, u, b = factors.coeff_out, factors.coeff_in, factors.basis
    if mode == "generated":
        return functional.linear(x, _weight(v, u, b).flatten(1), bias)
    last = bias if v is None else None
    if u is None or mode == "two_stage":
        t = functional.linear(x, _weight(None, u, b).flatten(1), last)
    else:
        blocks = x.unflatten(-1, (u.shape[1], b.shape[2])).mT  # [..., s, Ci]
        rows = functional.linear(blocks, u.mT.flatten(0, 1))  # [..., s, R L]
        kernels = b.flatten(0, 1).mT.to(rows.dtype)  # [s, R L]
        t = (rows * kernels).sum(-2).unflatten(-1, b.shape[:2]).sum(-1)
        if last is not None:
            t = t + last.to(t.dtype)
    return t if v is None else functional.linear(t, v, bias)


def _weight(v: Tensor | None, u: Tensor | None, b: Tensor) -> Tensor:
    """Return what factors generate, in their type under any autocast."""
    with without_autocast(b):
        return generate(v, u, b)


def _by_group(x: Tensor, groups: int, *, is_shared: bool) -> Tensor:
    """Return `[R, L, ...]`, which all groups share or which is cut in their parts, as `[groups R'
    L, ...]`: those of each group together, ordered by L, then by R'."""
    parts = x.expand(groups, *x.shape) if is_shared else x.unflatten(0, (groups, -1))
    return parts.transpose(1, 2).flatten(0, 2)


def _summed(terms: Tensor, groups: int, kernels: int) -> Tensor:
    """Return the sums over L of `[..., groups L R', H, W]`, `[..., groups R', H, W]`."""
    each = terms.unflatten(-3, (groups, kernels, -1)).unbind(-4)
    total: Tensor = reduce(torch.add, each)
    return total.flatten(-4, -3)
