"""Batch norm and ReLU that keep one byte of each number for the backward pass.

With z the inputs, of N numbers in each channel, n = (z - mean) / std and a = gamma n + beta, the
output is max(a, 0), or a, and dL/dgamma = sum(dL/da n), dL/dbeta = sum(dL/da) and
dL/dz = gamma / std (dL/da - dL/dbeta / N - n dL/dgamma / N)
(Ioffe and Szegedy, "Batch normalization", 2015). Kept is n, in eight bits, which also tell exactly
where the ReLU passed.
"""

from math import prod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from quantlab import backend
from quantlab.errors import UsageError
from quantlab.memory.pages import allocate
from quantlab.sparse.batch_innermost import flat


class Norm(NamedTuple):
    """eps: added to variances."""

    eps: float
    has_relu: bool


class KeptNorm(NamedTuple):
    """codes: of n, uint8, flat; constants: `[6, C]`, see `backend.normalize`."""

    codes: Tensor
    constants: Tensor

    @property
    def moments(self) -> Tensor:
        """Means and biased variances of the channels, `[2, C]`."""
        return self.constants[4:]


def count_of(batch_norm: nn.BatchNorm2d, shape: tuple[int, ...]) -> int:
    """Return how many numbers a channel of images has. Raises UsageError for images that a batch
    norm does not take in training."""
    channels = batch_norm.num_features
    if len(shape) != 4 or shape[1] != channels:
        raise UsageError(f"input: {list(shape)} given; [B, {channels}, H, W] allowed")
    count = prod(shape) // channels
    if count == 1:
        raise UsageError("input: one number of each channel given; two or more allowed")
    return count


def parameters(batch_norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return gamma and beta, `[C]`; ones and zeros of a module that has none."""
    channels = batch_norm.num_features
    gamma, beta = batch_norm.weight, batch_norm.bias
    return (
        torch.ones(channels, dtype=torch.float32) if gamma is None else gamma,
        torch.zeros(channels, dtype=torch.float32) if beta is None else beta,
    )


def normalize(z: Tensor, gamma: Tensor, beta: Tensor, norm: Norm) -> KeptNorm:
    """Replace numbers `[C, N]`, flat, by the output; return what the gradients need."""
    codes = allocate(len(z), torch.uint8)
    constants = z.new_empty(6, len(gamma))
    backend.normalize(
        z.numpy(),
        codes.numpy(),
        flat(gamma),
        flat(beta),
        eps=norm.eps,
        has_relu=norm.has_relu,
        constants=flat(constants),
    )
    return KeptNorm(codes, constants)


def normalize_back(
    y_gradient: Tensor, z_gradient: Tensor, gamma: Tensor, beta: Tensor, kept: KeptNorm, norm: Norm
) -> Tensor:
    """Write the gradient of z, `[C, N]`, flat, from that of the output, which may be the same
    tensor; return those of gamma and beta, `[2, C]`."""
    sums = z_gradient.new_empty(2, len(gamma))
    given = z_gradient.numpy()
    backend.normalize_back(
        given if y_gradient is z_gradient else y_gradient.numpy(),
        kept.codes.numpy(),
        flat(gamma),
        flat(beta),
        has_relu=norm.has_relu,
        constants=flat(kept.constants),
        z_gradient=given,
        sums=flat(sums),
    )
    return sums


@torch.no_grad()
def track(batch_norm: nn.BatchNorm2d, moments: Tensor, count: int) -> None:
    """Update running statistics as `nn.BatchNorm2d` does, with the unbiased variance.

    moments: means and biased variances, `[2, C]`; count: numbers of a channel.
    """
    mean, variance = batch_norm.running_mean, batch_norm.running_var
    if not batch_norm.track_running_stats or mean is None or variance is None:
        return
    batches = batch_norm.num_batches_tracked
    assert batches is not None
    batches += 1
    part = batch_norm.momentum if batch_norm.momentum is not None else 1 / batches.item()
    mean.lerp_(moments[0], part)
    variance.lerp_(moments[1] * (count / max(count - 1, 1)), part)
