"""What a network is given, as batches, and what the integers of a program's input stand for."""

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from quantlab.errors import UsageError
from quantlab.graphs.inputs import as_input, taking
from quantlab.graphs.select import quantizable_layers
from quantlab.graphs.shapes import evaluating
from quantlab.integer.lower import InputSpec

Samples = Tensor | NDArray[Any]
_SHAPES = {1: "a row [F]", 2: "a signal [C, W]", 3: "an image [C, H, W]"}
_BYTES = 255


def batch_of(given: Samples, network: nn.Module, name: str, *, may_be_one: bool = False) -> Tensor:
    """Return samples as a batch of real numbers on the network's device.

    given: rows `[N, F]` or images `[N, C, H, W]`, of a network of 1-d convolutions signals
    `[N, C, W]`. name: of them, for errors. may_be_one: whether one row, image or signal will do.
    Raises UsageError for what the network does not take, and for numbers that are not finite.
    """
    shape = list(getattr(given, "shape", ()))
    num_axes = _axes_of_samples(network)
    is_one = may_be_one and len(shape) in num_axes
    batch = as_input(given[None] if is_one else given, network, name)
    if batch.ndim - 1 not in num_axes:
        kinds = " or ".join(_SHAPES[count] for count in num_axes)
        also = ", or a batch of them," if may_be_one else " in a batch [N, ...]"
        raise UsageError(f"{name}: shape {shape} given, {kinds}{also} allowed")
    if not batch.is_floating_point():
        batch = as_input(batch.float(), network, name)
    if not bool(batch.isfinite().all()):
        bad = batch[~batch.isfinite()][0].item()
        raise UsageError(f"{name}: {bad} given, finite numbers allowed")
    with torch.no_grad(), evaluating(network), taking(batch[:1], name):
        network(batch[:1])
    return batch


def _axes_of_samples(network: nn.Module) -> tuple[int, ...]:
    """Return how many axes a network's samples can have."""
    layers = quantizable_layers(network).values()
    has_signals = any(isinstance(layer, nn.Conv1d | nn.ConvTranspose1d) for layer in layers)
    return (2,) if has_signals else (1, 3)


def are_bytes(given: Samples) -> bool:
    """Return whether samples are raw bytes."""
    return given.dtype in (torch.uint8, "uint8")


def spec_of(batch: Tensor, *, is_raw: bool) -> InputSpec:
    """Return an input of 8 bits with one scale for all that a batch `[N, ...]` has in it.

    is_raw: whether its numbers are bytes, which stay as they are. Otherwise the 256 codes go from
    the smallest number to the largest, or to 0 if that is beyond them.
    """
    channels = 1 if batch.ndim == 2 else batch.shape[1]
    low, high = min(batch.min().item(), 0.0), max(batch.max().item(), 0.0)
    scale = 1.0 if is_raw or low == high else (high - low) / _BYTES
    zero_point = 0 if is_raw else round(-low / scale)
    return InputSpec(
        shape=tuple(batch.shape[1:]),
        scale=(scale,) * channels,
        zero_point=(zero_point,) * channels,
    )


def codes_of(batch: Tensor, spec: InputSpec) -> NDArray[Any]:
    """Return the integers of a batch, `clamp(floor(x / scale + 1/2) + zero_point)`, in bytes."""
    shape = (1, -1, *(1 for _ in spec.shape[1:]))
    scale = torch.tensor(spec.scale, dtype=torch.float64).reshape(shape)
    zero_point = torch.tensor(spec.zero_point, dtype=torch.float64).reshape(shape)
    codes = torch.floor(batch.double().cpu() / scale + 0.5) + zero_point
    return codes.clamp(0, _BYTES).to(torch.uint8).numpy()
