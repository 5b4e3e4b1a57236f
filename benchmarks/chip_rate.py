"""What a chip can compute, and what a training step asks of it."""

from time import perf_counter

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

_PRODUCTS = 10  # between two looks at the clock


def synchronize(device: torch.device) -> None:
    """Wait until a device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def product_rate(device: torch.device, size: int = 8192, repeats: int = 8) -> float:
    """Return the FLOP/s of a product of square matrices of random bfloat16: the best of several."""
    left, right = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    result = left @ right
    seconds = []
    for _ in range(repeats):
        synchronize(device)
        start = perf_counter()
        for _ in range(_PRODUCTS):
            torch.mm(left, right, out=result)
        synchronize(device)
        seconds.append((perf_counter() - start) / _PRODUCTS)
    return 2.0 * size**3 / min(seconds)


def step_flops(network: nn.Module, loss: nn.Module, inputs: Tensor, targets: Tensor) -> float:
    """Return the floating-point operations of forward and backward of a sample: those of the
    matrix products and convolutions, of which a multiplication and an addition are two.

    inputs: `[N, ...]`. The gradients of the parameters stay.
    """
    with FlopCounterMode(display=False) as counter:
        loss(network(inputs), targets).backward()
    return counter.get_total_flops() / len(inputs)
