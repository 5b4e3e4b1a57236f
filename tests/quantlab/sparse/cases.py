"""Sparse layers and their dense twins in float64."""

from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from quantlab.sparse.batch_innermost import empty


@dataclass(frozen=True, kw_only=True)
class Convolution:
    """batch and size: of the images. density: of the weights that are kept."""

    batch: int
    channels: int
    outputs: int
    size: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    density: float
    seed: int

    def dense(self, dtype: torch.dtype) -> nn.Conv2d:
        generator = torch.Generator().manual_seed(self.seed)
        conv = nn.Conv2d(
            self.channels * self.groups,
            self.outputs * self.groups,
            self.kernel,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
        )
        with torch.no_grad():
            for parameter in conv.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
            shape = conv.weight.shape
            conv.weight.mul_(torch.rand(shape, generator=generator) < self.density)
        return conv.to(dtype)

    def images(self, dtype: torch.dtype) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed + 1)
        shape = (self.batch, self.channels * self.groups, *self.size)
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))
CONVOLUTIONS = st.builds(
    Convolution,
    batch=st.sampled_from([1, 2, 3, 15, 16, 17, 33, 70]),
    channels=st.integers(1, 4),
    outputs=st.integers(1, 5),
    size=st.tuples(st.integers(5, 9), st.integers(5, 9)),
    kernel=PAIRS,
    stride=PAIRS,
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    groups=st.integers(1, 3),
    density=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    seed=st.integers(0, 2**31),
)


def gradients(layer: nn.Module, x: Tensor, seed: int = 0) -> tuple[Tensor, list[Tensor]]:
    """Return a layer's output, and the gradients of its input and of its parameters."""
    x = x.detach().clone().requires_grad_()
    y = layer(x)
    weights = torch.randn(
        y.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    found = torch.autograd.grad(y, [x, *layer.parameters()], weights.to(y.dtype))
    return y.detach(), list(found)


def turned(x: Tensor) -> Tensor:
    """Return a copy whose batch is innermost in memory."""
    return empty(tuple(x.shape), x.dtype, batch_innermost=True).copy_(x)


def within(found: Tensor, wanted: Tensor, tolerance: float) -> None:
    """Assert that numbers differ by at most so much of the largest."""
    assert found.shape == wanted.shape
    if wanted.numel():
        error = (found.double() - wanted.double()).abs().max().item()
        assert error <= tolerance * max(wanted.abs().max().item(), 1.0), error


def same_bits_on_threads(layer: nn.Module, x: Tensor) -> None:
    """Assert that outputs and gradients do not depend on the number of threads."""
    before, results = torch.get_num_threads(), []
    try:
        for num_threads in (1, 2, 4):
            torch.set_num_threads(num_threads)
            torch.manual_seed(0)
            y, found = gradients(layer, x)
            results.append([y, *found[:2]])  # a bias is torch's own sum
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(one, two) for one, two in zip(results[0], other, strict=True))
