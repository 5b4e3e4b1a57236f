"""Tensors on grids for the fused kernels: every option, and shapes that fill no block.

Run by itself, with TRITON_INTERPRET=1, it computes all of them on the CPU, for a test in a process
that has no interpreter:

    TRITON_INTERPRET=1 python -m tests.quantlab.algorithms.grid_cases FILE
"""

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from quantlab.algorithms import quantize, ste
from quantlab.algorithms.conductor import Conductor
from quantlab.algorithms.fused_grid import fused_grid
from quantlab.algorithms.grid import Grid, sharing_of

SIGNED = Grid(quant_min=-8, quant_max=7, gradient_scale=0.125, min_scale=2.0**-24)
UNSIGNED = Grid(quant_min=0, quant_max=15, gradient_scale=0.125, min_scale=2.0**-24)
CLIP = Grid(quant_min=0, quant_max=15, is_clip_only=True)
ROUNDED = Grid(quant_min=-7, quant_max=7, is_rounded_first=True)


@dataclass(frozen=True, kw_only=True)
class GridCase:
    """block: of the kernels. is_expanded: all elements have one gradient, stored once."""

    shape: tuple[int, ...]
    scale_shape: tuple[int, ...]
    grid: Grid
    dtype: torch.dtype = torch.float32
    has_offset: bool = False
    has_zero_point: bool = False
    is_channels_last: bool = False
    is_x_fixed: bool = False
    is_scale_fixed: bool = False
    is_expanded: bool = False
    block: int = 64


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a case begins with."""

    x: Tensor
    scale: Tensor
    offset: Tensor | None
    zero_point: Tensor | None
    grad: Tensor


GRID_CASES = {
    "one scale": GridCase(shape=(3, 5, 7, 9), scale_shape=(), grid=UNSIGNED),
    "one scale, real blocks": GridCase(
        shape=(2, 8, 31, 33), scale_shape=(), grid=SIGNED, block=1024
    ),
    "one scale, many parts": GridCase(shape=(11, 19), scale_shape=(), grid=SIGNED, block=16),
    "bfloat16": GridCase(shape=(3, 5, 7, 9), scale_shape=(), grid=SIGNED, dtype=torch.bfloat16),
    "float16": GridCase(shape=(1003,), scale_shape=(), grid=UNSIGNED, dtype=torch.float16),
    "channels last": GridCase(
        shape=(2, 3, 5, 7), scale_shape=(), grid=SIGNED, is_channels_last=True, is_expanded=True
    ),
    "one element": GridCase(shape=(1,), scale_shape=(), grid=SIGNED),
    "axis 0": GridCase(shape=(5, 3, 3, 3), scale_shape=(5, 1, 1, 1), grid=SIGNED),
    "axis 0, one each": GridCase(shape=(5, 1), scale_shape=(5, 1), grid=SIGNED),
    "axis 0, many parts": GridCase(shape=(3, 101), scale_shape=(3, 1), grid=SIGNED, block=16),
    "axis 0, channels last": GridCase(
        shape=(5, 3, 3, 3), scale_shape=(5, 1, 1, 1), grid=SIGNED, is_channels_last=True
    ),
    "axis 1": GridCase(shape=(4, 5, 3, 3), scale_shape=(1, 5, 1, 1), grid=SIGNED),
    "axis 1, channels last": GridCase(
        shape=(4, 5, 3, 3), scale_shape=(1, 5, 1, 1), grid=SIGNED, is_channels_last=True
    ),
    "axis 1, many parts": GridCase(shape=(13, 2, 9), scale_shape=(1, 2, 1), grid=SIGNED, block=16),
    "groups": GridCase(shape=(4, 6, 5), scale_shape=(4, 6, 1), grid=SIGNED),
    "an offset": GridCase(
        shape=(3, 5, 7, 9), scale_shape=(), grid=UNSIGNED, has_offset=True, has_zero_point=True
    ),
    "an offset in bfloat16": GridCase(
        shape=(3, 5, 7, 9),
        scale_shape=(),
        grid=UNSIGNED,
        dtype=torch.bfloat16,
        has_offset=True,
        has_zero_point=True,
    ),
    "clipping alone": GridCase(shape=(3, 5, 7, 9), scale_shape=(), grid=CLIP),
    "clipping alone, an offset": GridCase(
        shape=(2, 77), scale_shape=(), grid=CLIP, has_offset=True, has_zero_point=True
    ),
    "nothing learned": GridCase(shape=(3, 5, 7), scale_shape=(), grid=SIGNED, is_scale_fixed=True),
    "rounded first": GridCase(shape=(5, 27), scale_shape=(5, 1), grid=ROUNDED, is_scale_fixed=True),
    "rounded first, a zero point": GridCase(
        shape=(5, 77), scale_shape=(), grid=ROUNDED, is_scale_fixed=True, has_zero_point=True
    ),
    "an input without gradient": GridCase(
        shape=(3, 5, 7), scale_shape=(), grid=SIGNED, is_x_fixed=True
    ),
    "the least scale": GridCase(
        shape=(5, 7),
        scale_shape=(5, 1),
        grid=Grid(quant_min=-8, quant_max=7, min_scale=0.25),
    ),
    "the least scale, many parts": GridCase(
        shape=(11, 19),
        scale_shape=(),
        grid=Grid(quant_min=-8, quant_max=7, min_scale=0.5),
        block=16,
    ),
}


def given_of(case: GridCase, device: str) -> Given:
    """Return the tensors of a case; some elements lie on ties and ends, some are no numbers."""
    generator = torch.Generator().manual_seed(5)
    scale = torch.rand(case.scale_shape, generator=generator).add_(0.1).mul_(0.3)
    v = torch.randn(case.shape, generator=generator).mul_(8.0)
    halves = v.mul(2.0).round_().div_(2.0)
    v = torch.where(torch.rand(case.shape, generator=generator) < 0.3, halves, v)
    x = (v * scale).to(case.dtype)
    if x.numel() > 100:
        x.view(-1)[13], x.view(-1)[17], x.view(-1)[19] = -math.inf, math.inf, -0.0
    grad = torch.randn(case.shape, generator=generator).to(case.dtype)
    if case.is_expanded:
        grad = torch.tensor(0.5, dtype=case.dtype).expand(case.shape)
    if case.is_channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    zero_point = torch.full(case.scale_shape, 5, dtype=torch.int32)
    offset = torch.rand(case.scale_shape, generator=generator)
    return Given(
        x=x.to(device).requires_grad_(not case.is_x_fixed),
        scale=scale.to(device).requires_grad_(not case.is_scale_fixed),
        offset=offset.to(device).requires_grad_() if case.has_offset else None,
        zero_point=zero_point.to(device) if case.has_zero_point else None,
        grad=grad.to(device),
    )


def fused(case: GridCase, device: str) -> dict[str, Tensor]:
    """Return the tensor on the grid and all gradients, by the kernels."""
    from quantlab.algorithms import grid_kernels

    given = given_of(case, device)
    sharing = sharing_of(given.x, given.scale)
    assert sharing is not None
    old = grid_kernels.TILING
    grid_kernels.TILING = grid_kernels.Tiling(block=case.block, max_alone=2, max_programs=6)
    try:
        y = fused_grid(given.x, given.scale, given.offset, given.zero_point, case.grid, sharing)
        y.backward(given.grad)
    finally:
        grid_kernels.TILING = old
    return results(given, y)


def gradient_of_two_calls(device: str) -> Tensor:
    """Return the gradient of a weight that STE quantizes and a pass uses twice, on the CPU."""
    torch.manual_seed(0)
    layer = nn.Linear(4, 4)
    network = nn.Sequential(layer, layer)
    algorithm = {"kind": "ste", "num_bits": 3, "start_epoch": 0}
    conductor = Conductor(
        quantize(network, [{"select": "*", "on": "weight", "algorithm": algorithm}])
    )
    x = torch.randn(3, 4)
    for _ in conductor.steps([0]):
        network.to(device)(x.to(device)).square().mean().backward()
    assert layer.weight.grad is not None
    return layer.weight.grad.cpu()


def results(given: Given, y: Tensor) -> dict[str, Tensor]:
    """Return what a case gave, on the CPU."""
    found = {"y": y.detach()}
    for name in ("x", "scale", "offset"):
        tensor: Tensor | None = getattr(given, name)
        if tensor is not None and tensor.grad is not None:
            found[name] = tensor.grad
    return {name: value.cpu() for name, value in found.items()}


def round_as_gpus_do() -> None:
    """Let Triton's interpreter round to bfloat16; it cuts off, where its code for GPUs rounds."""
    from triton.runtime import interpreter

    convert = interpreter._convert_float

    def rounded(values: Any, given: Any, wanted: Any, mode: Any) -> Any:
        if str(wanted) == "bf16" and values.dtype == np.float32:
            bits = torch.from_numpy(np.ascontiguousarray(values)).bfloat16().view(torch.int16)
            return bits.numpy().view(np.uint16)
        return convert(values, given, wanted, mode)

    interpreter._convert_float = rounded


def main(path: Path) -> None:
    """Write the results of all cases."""
    round_as_gpus_do()
    found = {name: fused(case, "cpu") for name, case in GRID_CASES.items()}
    ste.fused_sharing = sharing_of  # as on a GPU
    found["two calls"] = {"weight": gradient_of_two_calls("cpu")}
    torch.save(found, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
