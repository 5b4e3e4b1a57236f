"""Between tensors, however they lie, and planes."""

from torch import Tensor

from quantlab import backend
from quantlab.backend import PlaneLayout
from quantlab.sparse.batch_innermost import flat, is_batch_innermost, memory


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


def in_order_of_planes(layout: PlaneLayout, x: Tensor, rows: Tensor) -> Tensor:
    """Return samples with the batch innermost, flat: as they lie if it is, else written to `rows`.

    layout: of planes without padding.
    """
    if is_batch_innermost(x):
        return memory(x)
    lay_out(layout, x, rows)
    return rows
