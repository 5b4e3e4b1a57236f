"""The kernel `normalize` against batch norm and ReLU in float64, on every instruction set."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from quantlab import backend
from quantlab.errors import UsageError

EPS = 1e-5


class Kept(NamedTuple):
    activation: Tensor
    codes: Tensor
    constants: Tensor


def numbers(seed: int, channels: int, count: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(channels, count, generator=generator) * 3 + 1
    gamma = torch.randn(channels, generator=generator)
    beta = torch.randn(channels, generator=generator) * (1 + seed)
    gamma[0], beta[1], gamma[2], beta[2] = 0.0, 0.0, 0.0, -1.0
    z[3] = 1.5  # all the same
    return z, gamma, beta


def run(
    z: Tensor, gamma: Tensor, beta: Tensor, has_relu: bool, variant: str, num_threads: int = 1
) -> Kept:
    activation, codes = z.clone().reshape(-1), torch.empty(z.numel(), dtype=torch.uint8)
    constants = torch.empty(6 * len(gamma))
    backend.normalize(
        activation.numpy(),
        codes.numpy(),
        gamma.numpy(),
        beta.numpy(),
        eps=EPS,
        has_relu=has_relu,
        constants=constants.numpy(),
        variant=variant,
        num_threads=num_threads,
    )
    return Kept(activation.view(z.shape), codes.view(z.shape), constants.view(6, -1))


def back(
    gradient: Tensor, kept: Kept, gamma: Tensor, beta: Tensor, has_relu: bool, variant: str
) -> tuple[Tensor, Tensor]:
    """Go back to other memory; and in place, with the same result."""
    sums, found = torch.empty(2 * len(gamma)), torch.full_like(gradient, 7.0)
    in_place = gradient.clone()
    for given, written in ((gradient.clone(), found), (in_place, in_place)):
        array = written.view(-1).numpy()
        backend.normalize_back(
            array if given is written else given.view(-1).numpy(),
            kept.codes.reshape(-1).numpy(),
            gamma.numpy(),
            beta.numpy(),
            has_relu=has_relu,
            constants=kept.constants.reshape(-1).numpy(),
            z_gradient=array,
            sums=sums.numpy(),
            variant=variant,
        )
    assert torch.equal(found, in_place)
    return found, sums.view(2, -1)


@pytest.mark.parametrize("variant", backend.kernels("normalize"))
@pytest.mark.parametrize("has_relu", [True, False])
@pytest.mark.parametrize("count", [2, 34, 1000, 9000])
def test_forward_and_what_is_kept(count: int, has_relu: bool, variant: str) -> None:
    z, gamma, beta = numbers(1, 9, count)
    kept = run(z, gamma, beta, has_relu, variant)
    step, start, above, factor, mean, variance = kept.constants
    wide = z.double()
    torch.testing.assert_close(mean.double(), wide.mean(1), rtol=1e-5, atol=1e-5)
    wanted = wide.var(1, correction=0)
    torch.testing.assert_close(variance.double(), wanted, rtol=1e-5, atol=1e-6)
    normal = (z - mean[:, None]) * factor[:, None]
    a = gamma[:, None] * normal + beta[:, None]
    torch.testing.assert_close(kept.activation, a.relu() if has_relu else a, rtol=0, atol=1e-5)
    restored = start[:, None] + kept.codes * step[:, None]
    assert ((restored - normal).abs() <= 0.51 * step[:, None] + 1e-6).all()
    is_above = kept.codes >= above[:, None]
    rising, falling = gamma > 0, gamma < 0
    assert torch.equal(is_above[rising], a[rising] > 0)
    assert torch.equal(~is_above[falling], a[falling] > 0)


@pytest.mark.parametrize("variant", backend.kernels("normalize"))
@pytest.mark.parametrize("has_relu", [True, False])
def test_backward(has_relu: bool, variant: str) -> None:
    z, gamma, beta = numbers(2, 8, 3000)
    kept = run(z, gamma, beta, has_relu, variant)
    step, start, _, factor, _, _ = kept.constants.double()
    gradient = torch.randn(z.shape, generator=torch.Generator().manual_seed(5))
    found, sums = back(gradient, kept, gamma, beta, has_relu, variant)
    normal = start[:, None] + kept.codes * step[:, None]
    through = gradient.double()
    if has_relu:
        through = through * (kept.activation > 0)
    wanted_gamma, wanted_beta = (through * normal).sum(1), through.sum(1)
    torch.testing.assert_close(sums[0].double(), wanted_gamma, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(sums[1].double(), wanted_beta, rtol=1e-4, atol=1e-3)
    count = z.shape[1]
    wanted = through - wanted_beta[:, None] / count - normal * wanted_gamma[:, None] / count
    wanted = wanted * (gamma.double() * factor)[:, None]
    for channel in range(len(gamma)):  # that of the same numbers has a factor of 300
        size = float(wanted[channel].abs().max()) + 1e-9
        assert (found[channel] - wanted[channel]).abs().max() <= 1e-4 * size


def test_all_variants_and_numbers_of_threads_give_the_same() -> None:
    z, gamma, beta = numbers(3, 40, 5000)
    first, *others = (
        run(z, gamma, beta, True, variant, num_threads)
        for variant in backend.kernels("normalize")
        for num_threads in (1, 2, 4)
    )
    for other in others:
        assert all(torch.equal(one, two) for one, two in zip(first, other, strict=True))


def test_what_does_not_fit() -> None:
    z, gamma, beta = numbers(0, 4, 10)
    kept = run(z, gamma, beta, True, "scalar")
    with pytest.raises(UsageError, match="z: expected an array of as many numbers for each of 4"):
        run(z[:, :9].contiguous().view(-1)[:35], gamma, beta, True, "scalar")
    with pytest.raises(UsageError, match="z_gradient: expected an array of 40 items"):
        backend.normalize_back(
            z.reshape(-1).numpy(),
            kept.codes.reshape(-1).numpy(),
            gamma.numpy(),
            beta.numpy(),
            has_relu=True,
            constants=kept.constants.reshape(-1).numpy(),
            z_gradient=torch.empty(39).numpy(),
            sums=torch.empty(8).numpy(),
        )
