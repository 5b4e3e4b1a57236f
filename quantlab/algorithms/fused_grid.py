"""Fake quantization on a GPU by fused kernels, where nothing is compiled.

A quantizer launches one kernel forward and one or two backward instead of twenty, and keeps nothing
for the backward pass but its input. Compiled code takes the plain operations instead, which the
compiler fuses with what stands around them.
"""

import warnings
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from quantlab.algorithms.grid import Grid, Sharing, sharing_of
from quantlab.autograd import apply

_TYPES = (torch.float32, torch.bfloat16, torch.float16)


class _FusedGrid(Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        scale: Tensor,
        offset: Tensor | None,
        zero_point: Tensor | None,
        grid: Grid,
        sharing: Sharing,
    ) -> Tensor:
        ctx.save_for_backward(x, scale, zero_point)
        ctx.grid, ctx.sharing = grid, sharing
        y: Tensor = _kernels().forward(x, scale, zero_point, grid, sharing)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, zero_point = ctx.saved_tensors
        if grad.stride() != x.stride():
            grad = torch.empty_like(x).copy_(grad)
        needs_x, needs_scale, needs_offset = ctx.needs_input_grad[:3]
        grads = _kernels().backward(
            x,
            grad,
            scale,
            zero_point,
            ctx.grid,
            ctx.sharing,
            needs_x=needs_x,
            needs_scale=needs_scale or needs_offset,
            needs_offset=needs_offset,
        )
        return *grads, None, None, None


def fused_sharing(x: Tensor, scale: Tensor) -> Sharing | None:
    """Return how `x` shares its scales, or None where the plain operations must run: on a CPU, in
    compiled code, in float64, and where the tensor lies in memory as no kernel takes it."""
    if torch.compiler.is_compiling() or not x.is_cuda or type(x) not in (Tensor, nn.Parameter):
        return None
    if x.dtype not in _TYPES or scale.dtype != torch.float32 or scale.device != x.device:
        return None
    return sharing_of(x, scale) if _can_run(x.get_device()) else None


def fused_grid(
    x: Tensor,
    scale: Tensor,
    offset: Tensor | None,
    zero_point: Tensor | None,
    grid: Grid,
    sharing: Sharing,
) -> Tensor:
    """Return `x` on the grid, in its shape and type, with the gradients of `learned_grid`.

    sharing: what `fused_sharing` returned.
    """
    return apply(_FusedGrid, x, scale, offset, zero_point, grid, sharing)


@cache
def _kernels() -> Any:
    """Return the module of the kernels, which imports Triton."""
    from quantlab.algorithms import grid_kernels

    return grid_kernels


@cache
def _can_run(device: int) -> bool:
    """Return whether Triton makes kernels for a GPU; say once if it is installed and does not."""
    if find_spec("triton") is None:
        return False
    x, scale = torch.ones(2, device=f"cuda:{device}"), torch.ones((), device=f"cuda:{device}")
    sharing = Sharing(num_outer=1, num_scales=1, num_inner=2)
    try:
        _kernels().forward(x, scale, None, Grid(quant_min=0, quant_max=1), sharing)
    except Exception as error:  # whatever its compiler, and the C compiler it calls, may raise
        reason = str(error).partition("\n")[0]
        warnings.warn(
            f"cuda:{device}: quantizers run without fused kernels, slower, since Triton fails: "
            f"{reason}",
            stacklevel=2,
        )
        return False
    return True
