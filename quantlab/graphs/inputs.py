"""What networks are called with: tensors or NumPy arrays, brought to where the network is."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from quantlab.errors import QuantLabError, UsageError


def device_of(network: nn.Module) -> torch.device:
    """Return where a network's inputs have to be."""
    tensor = next(_tensors(network), None)
    return torch.device("cpu") if tensor is None else tensor.device


def as_input(given: object, network: nn.Module, name: str) -> Tensor:
    """Return a batch on the network's device; real numbers in the type of its weights.

    given: a tensor or a NumPy array, `[N, ...]`. name: of it, for errors. Raises UsageError.
    """
    if isinstance(given, np.ndarray) and given.dtype.kind in "fiu":
        given = torch.from_numpy(np.array(given, given.dtype.newbyteorder("="), order="C"))
    if isinstance(given, Tensor) and given.is_complex():
        raise UsageError(f"{name}: {_described(given)} given, real numbers allowed")
    if not isinstance(given, Tensor):
        kind = f"{given.dtype} array" if isinstance(given, np.ndarray) else type(given).__name__
        raise UsageError(f"{name}: a {kind} given, a tensor or a NumPy array of numbers allowed")
    if not given.ndim or not len(given):
        raise UsageError(f"{name}: {_described(given)} given, [N, ...] of at least 1 sample needed")
    real = next((t for t in _tensors(network) if t.is_floating_point()), None)
    dtype = real.dtype if real is not None and given.is_floating_point() else given.dtype
    return given.to(device_of(network), dtype)


@contextmanager
def taking(given: Tensor, name: str) -> Iterator[None]:
    """Say which batch it was that a network refused. Raises UsageError."""
    try:
        yield
    except (QuantLabError, torch.OutOfMemoryError):
        raise
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(
            f"{name}: {_described(given)} given, which the network does not take: {reason}"
        ) from error


def _described(given: Tensor) -> str:
    return f"{str(given.dtype).removeprefix('torch.')}{list(given.shape)}"


def _tensors(network: nn.Module) -> Iterator[Tensor]:
    yield from network.parameters()
    yield from network.buffers()
