"""Tensors whose batch is innermost in memory, as kernels read it.

As torch's `channels_last`, that is a matter of strides: shapes and results are the same, and
elementwise operations keep it. A layer whose input lies so returns its output so, and none of them
has to transpose anything.
"""

from math import prod
from typing import Any

import torch
from torch import Tensor

from quantlab.memory.pages import allocate


def is_batch_innermost(x: Tensor) -> bool:
    """Return whether a tensor `[B, ...]` lies in memory as `[..., B]`, without gaps."""
    return not x.is_contiguous() and x.movedim(0, -1).is_contiguous()


def empty(shape: tuple[int, ...], dtype: torch.dtype, *, batch_innermost: bool) -> Tensor:
    """Return a tensor `[B, ...]` of any values. It is no view, which could not be changed in place
    everywhere."""
    if not batch_innermost:
        return torch.empty(shape, dtype=dtype)
    batch, *sample = shape
    strides = torch.empty((*sample, batch), dtype=dtype, device="meta").stride()
    storage = allocate(prod(shape), dtype).untyped_storage()
    return torch.empty(0, dtype=dtype).set_(storage, 0, shape, (strides[-1], *strides[:-1]))


def memory(x: Tensor) -> Tensor:
    """Return a tensor's numbers in the order in which they lie, `[N]`, without a copy; the tensor
    is contiguous, or its batch is innermost."""
    order = x.movedim(0, -1) if is_batch_innermost(x) else x
    return order.detach().view(-1)


def flat(x: Tensor) -> Any:
    """Return what `memory` does, for the kernels; other tensors are copied to be contiguous."""
    return memory(x).numpy() if is_batch_innermost(x) else x.detach().numpy().ravel()
