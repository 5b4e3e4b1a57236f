"""Pooling with the batch innermost against torch's."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from quantlab.sparse.pool import pool, spread


def torch_pool(images: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Return both as `[O, H, W, B]`."""
    x = images.movedim(-1, 0).contiguous().requires_grad_()
    y = F.max_pool2d(x, 2)
    (found,) = torch.autograd.grad(y, x, gradient.movedim(-1, 0).contiguous())
    return y.detach().movedim(0, -1), found.movedim(0, -1)


@pytest.mark.parametrize("size", [(2, 2), (4, 6), (5, 7)])
@pytest.mark.parametrize("numbers", ["random", "ties", "infinite"])
def test_pooling(size: tuple[int, int], numbers: str) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(3, *size, 5, generator=generator)
    if numbers == "ties":
        images = images.round()
    gradient = torch.randn(3, size[0] // 2, size[1] // 2, 5, generator=generator)
    if numbers == "infinite":
        images[images < 0] = -torch.inf
        gradient[gradient > 1] = torch.inf
    largest, found = torch.empty_like(gradient), torch.full_like(images, 7.0)
    place = pool(images, largest)
    spread(gradient, place, found)
    wanted, wanted_gradient = torch_pool(images, gradient)
    assert torch.equal(largest, wanted)
    assert torch.equal(found, wanted_gradient)
