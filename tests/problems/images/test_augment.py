"""Batched augmentation against one sample at a time."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from problems.images.augment import random_brightness, random_crop, random_flip
from quantlab.errors import UsageError


def slow_crop(x_NCHW: Tensor, draws_N2: Tensor, padding: int, fill: int) -> Tensor:
    crops = []
    for image, (row_draw, column_draw) in zip(x_NCHW.numpy(), draws_N2.tolist(), strict=True):
        height, width = image.shape[1:]
        pads = ((0, 0), (padding, padding), (padding, padding))
        padded = np.pad(image, pads, constant_values=fill)
        top = min(int(row_draw * (2 * padding + 1)), 2 * padding)
        left = min(int(column_draw * (2 * padding + 1)), 2 * padding)
        crops.append(torch.from_numpy(padded[:, top : top + height, left : left + width].copy()))
    return torch.stack(crops)


def slow_flip(x_NCHW: Tensor, draws_N1: Tensor) -> Tensor:
    return torch.stack(
        [
            torch.from_numpy(image[:, :, ::-1].copy() if draw < 0.5 else image)
            for image, draw in zip(x_NCHW.numpy(), draws_N1[:, 0].tolist(), strict=True)
        ]
    )


def images(num_samples: int, seed: int, dtype: torch.dtype = torch.uint8) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (num_samples, 3, 6, 9), generator=generator)
    return pixels.to(dtype)


def draws(num_samples: int, num_draws: int, seed: int) -> Tensor:
    return torch.rand(num_samples, num_draws, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@settings(max_examples=40, deadline=None)
@given(
    num_samples=st.integers(1, 7),
    padding=st.integers(0, 5),
    fill=st.integers(0, 255),
    seed=st.integers(0, 2**20),
)
def test_crop_is_the_slow_one(
    dtype: torch.dtype, num_samples: int, padding: int, fill: int, seed: int
) -> None:
    x_NCHW, draws_N2 = images(num_samples, seed, dtype), draws(num_samples, 2, seed)
    cropped = random_crop(x_NCHW, draws_N2, padding=padding, fill=fill)
    assert cropped.dtype == dtype
    assert torch.equal(cropped, slow_crop(x_NCHW, draws_N2, padding, fill))


def test_crop_reaches_every_offset_and_no_more() -> None:
    x_NCHW = torch.arange(1, 10, dtype=torch.uint8).view(1, 1, 3, 3).expand(25, 1, 3, 3)
    steps = torch.arange(5) / 5
    draws_N2 = torch.cartesian_prod(steps, steps) + 1e-3
    assert len(torch.unique(random_crop(x_NCHW, draws_N2, padding=2), dim=0)) == 25
    # A draw that was rounded up to one stays inside.
    last = random_crop(x_NCHW[:1], torch.ones(1, 2), padding=2)
    assert torch.equal(last, random_crop(x_NCHW[:1], torch.full((1, 2), 0.999), padding=2))


@settings(max_examples=20, deadline=None)
@given(num_samples=st.integers(1, 7), seed=st.integers(0, 2**20))
def test_flip_is_the_slow_one(num_samples: int, seed: int) -> None:
    x_NCHW, draws_N1 = images(num_samples, seed), draws(num_samples, 1, seed)
    assert torch.equal(random_flip(x_NCHW, draws_N1), slow_flip(x_NCHW, draws_N1))


@settings(max_examples=20, deadline=None)
@given(num_samples=st.integers(1, 7), strength=st.floats(0, 1), seed=st.integers(0, 2**20))
def test_brightness_is_the_slow_one(num_samples: int, strength: float, seed: int) -> None:
    x_NCHW, draws_N1 = images(num_samples, seed), draws(num_samples, 1, seed)
    brightened = random_brightness(x_NCHW, draws_N1, strength=strength)
    for image, draw, result in zip(x_NCHW, draws_N1[:, 0].tolist(), brightened, strict=True):
        factor = np.float32(1 + strength * (2 * draw - 1))
        levels = np.floor(image.numpy().astype(np.float32) * factor + np.float32(0.5))
        assert np.array_equal(result.numpy(), np.clip(levels, 0, 255).astype(np.uint8))


AUGMENTATIONS: list[tuple[Callable[[Tensor, Tensor], Tensor], int]] = [
    (lambda x, d: random_crop(x, d, padding=2), 2),
    (lambda x, d: random_flip(x, d), 1),
    (lambda x, d: random_brightness(x, d, strength=0.4), 1),
]


@pytest.mark.parametrize(("augment", "num_draws"), AUGMENTATIONS)
def test_a_sample_does_not_depend_on_its_batch(
    augment: Callable[[Tensor, Tensor], Tensor], num_draws: int
) -> None:
    x_NCHW, draws_NK = images(16, 3), draws(16, num_draws, 4)
    whole = augment(x_NCHW, draws_NK)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(5))
    assert torch.equal(augment(x_NCHW[order], draws_NK[order]), whole[order])
    assert torch.equal(augment(x_NCHW[3:4], draws_NK[3:4]), whole[3:4])


@pytest.mark.parametrize(("augment", "num_draws"), AUGMENTATIONS)
def test_the_number_of_draws_is_checked(
    augment: Callable[[Tensor, Tensor], Tensor], num_draws: int
) -> None:
    with pytest.raises(UsageError, match=rf"allowed: \[4, {num_draws}\]"):
        augment(images(4, 0), draws(4, num_draws + 1, 0))


def test_brightness_is_for_pixels() -> None:
    with pytest.raises(UsageError, match=r"allowed: torch\.uint8"):
        random_brightness(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1), strength=0.1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
@pytest.mark.parametrize(("augment", "num_draws"), AUGMENTATIONS)
def test_a_gpu_gives_the_same_without_waiting(
    augment: Callable[[Tensor, Tensor], Tensor], num_draws: int
) -> None:
    x_NCHW, draws_NK = images(4096, 3), draws(4096, num_draws, 4)
    x_gpu, draws_gpu = x_NCHW.cuda(), draws_NK.cuda()
    torch.cuda.set_sync_debug_mode("error")
    try:
        augmented = augment(x_gpu, draws_gpu)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.equal(augmented.cpu(), augment(x_NCHW, draws_NK))
