"""Between tensors, however they lie, and planes."""

from torch import Tensor

from quantlab import backend
from quantlab.backend import PlaneLayout
from quantlab.sparse.batch_innermost import flat, is_batch_innermost


def lay_out(layout: PlaneLayout, x: Tensor, planes: Tensor, factor: float = 1.0) -> None:
    """Write samples `[B, ...]` times the factor as planes of their type or of float16."""
    backend.lay_out(
        layout, flat(x), planes.numpy(), is_batch_innermost=is_batch_innermost(x), factor=factor
    )


def collect(layout: PlaneLayout, planes: Tensor, samples: Tensor, factor: float = 1.0) -> None:
    """Write planes times the factor as samples `[B, ...]`, contiguous or with the batch
    innermost."""
    backend.collect(
        layout,
        flat(samples),
        planes.numpy(),
        is_batch_innermost=is_batch_innermost(samples),
        factor=factor,
    )
