"""Normalization against integers and float64."""

import pytest
import torch

from problems.images.normalize import (
    CIFAR10,
    IMAGENET,
    MNIST,
    Normalization,
    from_moments,
    normalize,
)
from quantlab.errors import UsageError


def test_zero_points_are_the_usual_means() -> None:
    assert MNIST.zero_point == (33,)
    assert CIFAR10.zero_point == (125, 123, 114)
    assert IMAGENET.zero_point == (124, 116, 104)


@pytest.mark.parametrize("normalization", [MNIST, CIFAR10, IMAGENET])
def test_every_pixel_value(normalization: Normalization) -> None:
    num_channels = len(normalization.scale)
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(2, num_channels, 16, 16)
    result = normalize(pixels, normalization)
    assert result.dtype == torch.float32
    for channel, (zero_point, scale) in enumerate(
        zip(normalization.zero_point, normalization.scale, strict=True)
    ):
        centered = pixels[:, channel].to(torch.int64) - zero_point
        # One rounding only: float32 of the exact product with the float32 scale.
        exact = centered.double() * torch.tensor(scale, dtype=torch.float32).double()
        assert torch.equal(result[:, channel], exact.float())


def test_errors_name_what_is_allowed() -> None:
    with pytest.raises(UsageError, match="1 channels; allowed: 3"):
        normalize(torch.zeros(2, 1, 4, 4, dtype=torch.uint8), CIFAR10)
    with pytest.raises(UsageError, match=r"zero point 256; allowed: 0\.\.255"):
        Normalization(zero_point=(256,), scale=(1.0,))
    with pytest.raises(UsageError, match=r"scale 0\.0; allowed"):
        Normalization(zero_point=(1,), scale=(0.0,))
    with pytest.raises(UsageError, match="2 zero points, 1 scales"):
        Normalization(zero_point=(1, 2), scale=(1.0,))


@pytest.mark.parametrize(
    ("mean", "std", "words"),
    [
        ((0.5,), (0.0,), r"std \(0\.0,\) given; finite and above 0 allowed"),
        ((0.5,), (-0.2,), r"std \(-0\.2,\) given; finite and above 0 allowed"),
        ((0.5,), (float("nan"),), r"std \(nan,\) given; finite and above 0 allowed"),
        ((0.5, 0.5), (0.2, float("inf")), r"std \(0\.2, inf\) given; finite and above 0"),
        ((), (), r"std \(\) given; one per channel, at least 1"),
        ((0.5,), (0.2, 0.2), r"1 means and 2 stds given; one of each per channel"),
        ((float("nan"),), (0.2,), r"mean \(nan,\) given; 0 to 1 allowed"),
        ((125.0,), (0.2,), r"mean \(125\.0,\) given; 0 to 1 allowed"),
    ],
)
def test_moments_that_cannot_be(
    mean: tuple[float, ...], std: tuple[float, ...], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        from_moments(mean, std)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_gives_the_same() -> None:
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(2, 3, 16, 16)
    assert torch.equal(normalize(pixels.cuda(), IMAGENET).cpu(), normalize(pixels, IMAGENET))


@pytest.mark.parametrize("normalization", [CIFAR10, IMAGENET])
def test_channels_share_a_grid_of_16_bits(normalization: Normalization) -> None:
    parts = [128 * scale / max(normalization.scale) for scale in normalization.scale]
    assert parts == pytest.approx([round(part) for part in parts], abs=1e-9)
    assert max(round(part) for part in parts) == 128


def test_scales_are_those_of_the_deviations_but_for_the_grid() -> None:
    for normalization, std in ((CIFAR10, (0.2470, 0.2435, 0.2616)), (MNIST, (0.3081,))):
        for scale, value in zip(normalization.scale, std, strict=True):
            assert scale == pytest.approx(1 / (255 * value), rel=0.5 / 119)
