"""Triton kernels of a uniform grid: each direction in one pass over memory.

They compute what `learned_grid` and `ste` say, to the bit, but for the order in which a gradient of
a scale or offset is summed: each program sums a part, and where a scale has several parts, one more
program adds them in their order. Nothing is atomic, and the parts depend on the sizes alone: equal
inputs give equal bytes, on all GPUs.

`x` has no gaps in memory, in any order of its axes. Its elements are seen as
[num_outer, num_scales, num_inner], as they lie there; see `Sharing`.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from quantlab.algorithms.grid import Grid, Sharing


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """How work is cut. block: elements that a program sees at once, a power of two.

    max_alone: so many blocks of one scale one program sums. max_programs: about so many sum.
    """

    block: int = 1024
    max_alone: int = 8
    max_programs: int = 2048


TILING = Tiling()


def _elements(
    row: tl.tensor,
    first: tl.tensor,
    size: tl.tensor,
    num_scales: tl.tensor,
    num_inner: tl.tensor,
    IS_FLAT: tl.constexpr,
    BLOCK: tl.constexpr,
) -> tl.tensor:
    """Return where a block of a scale's elements lies, and which of them there are."""
    element = first + tl.arange(0, BLOCK)
    if IS_FLAT:
        offset = row * size + element
    else:
        outer = element // num_inner
        offset = (outer * num_scales + row) * num_inner + element % num_inner
    return offset, element < size


def _bounds(
    row: tl.tensor,
    zero_ptr: tl.tensor,
    quant_min: tl.tensor,
    quant_max: tl.tensor,
    HAS_ZERO: tl.constexpr,
) -> tl.tensor:
    """Return the ends of the codes less the zero point."""
    if HAS_ZERO:
        zero_point = tl.load(zero_ptr + row).to(tl.float32)
        quant_min = quant_min - zero_point
        quant_max = quant_max - zero_point
    return quant_min, quant_max


def _clamp(x: tl.tensor, low: tl.tensor, high: tl.tensor) -> tl.tensor:
    """Return `x` between the ends; a NaN stays one."""
    return tl.where(x < low, low, tl.where(x > high, high, x))


def _grid_forward(
    x_ptr: tl.tensor,
    scale_ptr: tl.tensor,
    zero_ptr: tl.tensor,
    y_ptr: tl.tensor,
    quant_min: tl.tensor,
    quant_max: tl.tensor,
    min_scale: tl.tensor,
    size: tl.tensor,
    num_scales: tl.tensor,
    num_inner: tl.tensor,
    num_blocks: tl.tensor,
    HAS_ZERO: tl.constexpr,
    IS_FLAT: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    row = tl.program_id(0) // num_blocks
    first = tl.program_id(0) % num_blocks * BLOCK
    offset, is_there = elements(row, first, size, num_scales, num_inner, IS_FLAT, BLOCK)
    low, high = bounds(row, zero_ptr, quant_min, quant_max, HAS_ZERO)
    scale = tl.load(scale_ptr + row)
    scale = tl.where(scale < min_scale, min_scale, scale)
    x = tl.load(x_ptr + offset, mask=is_there, other=0.0).to(tl.float32)
    rounded = tl.floor(clamp(tl.div_rn(x, scale), low, high) + 0.5)
    tl.store(y_ptr + offset, (rounded * scale).to(y_ptr.dtype.element_ty), mask=is_there)


def _grid_backward(
    x_ptr: tl.tensor,
    grad_ptr: tl.tensor,
    scale_ptr: tl.tensor,
    zero_ptr: tl.tensor,
    grad_x_ptr: tl.tensor,
    scale_sum_ptr: tl.tensor,
    offset_sum_ptr: tl.tensor,
    quant_min: tl.tensor,
    quant_max: tl.tensor,
    min_scale: tl.tensor,
    factor: tl.tensor,
    size: tl.tensor,
    num_scales: tl.tensor,
    num_inner: tl.tensor,
    num_parts: tl.tensor,
    blocks_per_part: tl.tensor,
    HAS_ZERO: tl.constexpr,
    HAS_GRAD_X: tl.constexpr,
    HAS_SCALE: tl.constexpr,
    HAS_OFFSET: tl.constexpr,
    IS_CLIP_ONLY: tl.constexpr,
    IS_ROUNDED_FIRST: tl.constexpr,
    IS_WHOLE: tl.constexpr,
    IS_FLAT: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    row = tl.program_id(0) // num_parts
    part = tl.program_id(0) % num_parts
    low, high = bounds(row, zero_ptr, quant_min, quant_max, HAS_ZERO)
    learned = tl.load(scale_ptr + row)
    scale = tl.where(learned < min_scale, min_scale, learned)
    scale_sum = tl.zeros([BLOCK], tl.float32)
    offset_sum = tl.zeros([BLOCK], tl.float32)
    for index in range(blocks_per_part):
        first = (part * blocks_per_part + index) * BLOCK
        offset, is_there = elements(row, first, size, num_scales, num_inner, IS_FLAT, BLOCK)
        v = tl.div_rn(tl.load(x_ptr + offset, mask=is_there, other=0.0).to(tl.float32), scale)
        grad = tl.load(grad_ptr + offset, mask=is_there, other=0.0).to(tl.float32)
        if IS_ROUNDED_FIRST:
            v = tl.floor(v + 0.5)
        clamped = clamp(v, low, high)
        inside = (v == clamped).to(tl.float32)
        grad_x = grad * inside
        if HAS_GRAD_X:
            kept = grad_x.to(grad_x_ptr.dtype.element_ty)
            tl.store(grad_x_ptr + offset, kept, mask=is_there)
        if HAS_SCALE:
            slope = tl.floor(clamped + 0.5)
            if HAS_OFFSET:
                slope = slope - low
            if IS_CLIP_ONLY:
                slope = slope - slope * inside
            else:
                slope = slope - clamped * inside
                if HAS_OFFSET:
                    slope = slope + inside * low
            scale_sum += grad * slope
        if HAS_OFFSET:
            offset_sum += grad - grad_x
    if HAS_SCALE:
        total = tl.sum(scale_sum, axis=0)
        if IS_WHOLE:
            total = tl.where(learned < min_scale, 0.0, total * factor)
        tl.store(scale_sum_ptr + tl.program_id(0), total)
    if HAS_OFFSET:
        total = tl.sum(offset_sum, axis=0)
        if IS_WHOLE:
            total = total * factor
        tl.store(offset_sum_ptr + tl.program_id(0), total)


def _add_parts(
    parts_ptr: tl.tensor,
    scale_ptr: tl.tensor,
    sum_ptr: tl.tensor,
    min_scale: tl.tensor,
    factor: tl.tensor,
    num_parts: tl.tensor,
    num_scales: tl.tensor,
    BLOCK: tl.constexpr,
) -> None:
    """The first num_scales programs add parts of scales, others of offsets."""
    index = tl.program_id(0)
    part = tl.arange(0, BLOCK)
    values = tl.load(parts_ptr + index * num_parts + part, mask=part < num_parts, other=0.0)
    total = tl.sum(values, axis=0) * factor
    learned = tl.load(scale_ptr + index % num_scales)
    is_fixed = (index < num_scales) & (learned < min_scale)
    tl.store(sum_ptr + index, tl.where(is_fixed, 0.0, total))


elements = triton.jit(_elements)
bounds = triton.jit(_bounds)
clamp = triton.jit(_clamp)
forward_kernel = triton.jit(_grid_forward)
backward_kernel = triton.jit(_grid_backward)
add_parts_kernel = triton.jit(_add_parts)


def forward(
    x: Tensor,
    scale: Tensor,
    zero_point: Tensor | None,
    grid: Grid,
    sharing: Sharing,
) -> Tensor:
    """Return `x` on the grid, in its type and order of axes.

    x: float32, bfloat16 or float16. scale: float32; zero_point: int32; both without gaps.
    """
    block = _block_for(sharing.size)
    num_blocks = triton.cdiv(sharing.size, block)
    with _device_of(x):
        y = torch.empty_like(x)
        forward_kernel[(sharing.num_scales * num_blocks,)](
            x,
            scale,
            zero_point,
            y,
            float(grid.quant_min),
            float(grid.quant_max),
            grid.min_scale,
            sharing.size,
            sharing.num_scales,
            sharing.num_inner,
            num_blocks,
            HAS_ZERO=zero_point is not None,
            IS_FLAT=sharing.is_flat,
            BLOCK=block,
        )
    return y


def backward(
    x: Tensor,
    grad: Tensor,
    scale: Tensor,
    zero_point: Tensor | None,
    grid: Grid,
    sharing: Sharing,
    *,
    needs_x: bool,
    needs_scale: bool,
    needs_offset: bool,
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Return the gradients of x, scale and offset that are needed.

    grad: of the type and the order of axes of `x`. An offset's needs that of the scale too.
    """
    block = _block_for(sharing.size)
    num_parts = num_blocks = triton.cdiv(sharing.size, block)
    if needs_scale:
        num_parts = min(num_blocks, max(1, TILING.max_programs // sharing.num_scales))
        if num_blocks <= TILING.max_alone:
            num_parts = 1
    blocks_per_part = triton.cdiv(num_blocks, num_parts)
    num_parts = triton.cdiv(num_blocks, blocks_per_part)
    num_programs = sharing.num_scales * num_parts
    grad_x = torch.empty_like(x) if needs_x else None
    num_sums = needs_scale + needs_offset
    parts = scale.new_empty((num_sums, num_programs)) if num_sums else None
    with _device_of(x):
        backward_kernel[(num_programs,)](
            x,
            grad,
            scale,
            zero_point,
            grad_x,
            parts,
            parts[1] if parts is not None and needs_offset else None,
            float(grid.quant_min),
            float(grid.quant_max),
            grid.min_scale,
            grid.gradient_scale,
            sharing.size,
            sharing.num_scales,
            sharing.num_inner,
            num_parts,
            blocks_per_part,
            HAS_ZERO=zero_point is not None,
            HAS_GRAD_X=needs_x,
            HAS_SCALE=needs_scale,
            HAS_OFFSET=needs_offset,
            IS_CLIP_ONLY=grid.is_clip_only,
            IS_ROUNDED_FIRST=grid.is_rounded_first,
            IS_WHOLE=num_parts == 1,
            IS_FLAT=sharing.is_flat,
            BLOCK=block,
        )
        if parts is None:
            return grad_x, None, None
        sums = parts
        if num_parts > 1:
            sums = scale.new_empty((num_sums, sharing.num_scales))
            add_parts_kernel[(num_sums * sharing.num_scales,)](
                parts,
                scale,
                sums,
                grid.min_scale,
                grid.gradient_scale,
                num_parts,
                sharing.num_scales,
                BLOCK=triton.next_power_of_2(num_parts),
            )
    grad_scale = sums[0].view(scale.shape)
    return grad_x, grad_scale, sums[1].view(scale.shape) if needs_offset else None


def _device_of(x: Tensor) -> AbstractContextManager[object]:
    """Make the GPU of `x` the one that kernels are launched on."""
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()


def _block_for(size: int) -> int:
    block: int = min(TILING.block, triton.next_power_of_2(size))
    return block
