"""The input with which a network is tried, from what a caller says of it."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from quantlab.errors import UsageError, check_kind
from quantlab.graphs.replace import dense_layers
from quantlab.graphs.shapes import Example

BATCH_SIZE = 32


def example_of(
    model: nn.Module,
    input_shape: Sequence[int] | None,
    batch_size: int | None,
    example_input: Example | None,
) -> Example:
    """Return the example that is given, or a random one of a shape.

    A shape of 4 or 2 sizes has the batch first; before 3 or 1 goes `batch_size`, or 32. Raises
    UsageError.
    """
    if (input_shape is None) == (example_input is None):
        given = "neither" if input_shape is None else "both"
        raise UsageError(f"input_shape, example_input: {given} given; one of the two allowed")
    if input_shape is not None:
        check_kind("input_shape", input_shape, Sequence, "sizes")
        for size in input_shape:
            check_kind("input_shape", size, int, "sizes")
    has_batch = input_shape is None or len(input_shape) in (2, 4)
    if has_batch and batch_size is not None:
        raise UsageError(f"batch_size: {batch_size} given; the input has its batch already")
    if example_input is not None:
        return example_input
    assert input_shape is not None
    if not 1 <= len(input_shape) <= 4:
        raise UsageError(
            f"input_shape: {list(input_shape)} given; [B, C, H, W], [C, H, W], [B, F] or [F] "
            "allowed; give other inputs as example_input"
        )
    batch = [] if has_batch else [BATCH_SIZE if batch_size is None else batch_size]
    return _random([*batch, *input_shape], model)


def _random(shape: Sequence[int], model: nn.Module) -> Tensor:
    """Return an input on the device and of the type of the network's first weight."""
    if min(shape) < 1:
        raise UsageError(f"input_shape: {list(shape)} given; sizes of at least 1 allowed")
    like = next(iter(dense_layers(model).values())).weight
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(like)
