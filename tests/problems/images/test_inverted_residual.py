"""Inverted residuals against their definition and table 2 of the paper."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from problems.images.inverted_residual import (
    InvertedResidual,
    initialize,
    inverted_residual_features,
    num_features,
    round_to_8,
)


@pytest.mark.parametrize(
    ("in_channels", "out_channels", "stride", "is_added"),
    [(16, 16, 1, True), (16, 16, 2, False), (16, 24, 1, False)],
)
def test_added_where_it_fits(
    in_channels: int, out_channels: int, stride: int, *, is_added: bool
) -> None:
    block = InvertedResidual(in_channels, out_channels, stride, 6).eval()
    x_NCHW = torch.randn(2, in_channels, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        residual, found = block.conv(x_NCHW), block(x_NCHW)
    assert found.shape == (2, out_channels, 8 // stride, 8 // stride)
    assert torch.equal(found, x_NCHW + residual if is_added else residual)


@pytest.mark.parametrize(("expansion", "num_convolutions"), [(1, 2), (6, 3)])
def test_without_expansion_nothing_is_widened(expansion: int, num_convolutions: int) -> None:
    block = InvertedResidual(16, 24, 1, expansion)
    convolutions = [module for module in block.modules() if isinstance(module, nn.Conv2d)]
    assert len(convolutions) == num_convolutions
    (depthwise,) = [conv for conv in convolutions if conv.kernel_size == (3, 3)]
    assert depthwise.groups == depthwise.in_channels == depthwise.out_channels == 16 * expansion
    # A linear bottleneck: no activation after the last convolution.
    assert isinstance(list(block.modules())[-1], nn.BatchNorm2d)


def test_stages_of_the_paper() -> None:
    """Sandler et al. 2018, table 2, at 224 x 224: output pixels and channels of each stage."""
    with torch.device("meta"):
        features = inverted_residual_features(
            3, width=1.0, stem_stride=2, strides=(1, 2, 2, 2, 1, 2, 1)
        )
        x_NCHW = torch.empty(1, 3, 224, 224)
        shapes = []
        for part in features:
            x_NCHW = part(x_NCHW)
            shapes.append((x_NCHW.shape[1], x_NCHW.shape[2]))
    table = [(32, 112, 1), (16, 112, 1), (24, 56, 2), (32, 28, 3), (64, 14, 4), (96, 14, 3)]
    table += [(160, 7, 3), (320, 7, 1), (1280, 7, 1)]
    assert shapes == [(channels, size) for channels, size, times in table for _ in range(times)]


@pytest.mark.parametrize(("width", "last"), [(0.25, 1280), (1.0, 1280), (1.4, 1792)])
def test_the_last_convolution_is_not_narrowed(width: float, last: int) -> None:
    assert num_features(width) == last


def test_strides_of_all_stages_are_needed() -> None:
    with pytest.raises(ValueError, match="zip"):
        inverted_residual_features(3, width=0.25, stem_stride=1, strides=(1, 2))


@given(st.floats(min_value=0.5, max_value=4000.0))
def test_channels_are_the_nearest_multiple_that_is_not_too_small(channels: float) -> None:
    found = round_to_8(channels)
    assert found % 8 == 0
    assert found >= max(8, 0.9 * channels)
    is_nearest = abs(found - channels) <= 4
    assert is_nearest or found == 8 or found - 8 < 0.9 * channels < found


def test_initial_weights() -> None:
    network = nn.Sequential(nn.Conv2d(64, 128, 3), nn.Linear(512, 256))
    torch.manual_seed(0)
    initialize(network)
    convolution, linear = network
    fan_out = 128 * 9
    assert convolution.weight.std().item() == pytest.approx(math.sqrt(2 / fan_out), rel=0.02)
    assert linear.weight.std().item() == pytest.approx(0.01, rel=0.02)
    assert not linear.bias.any()
