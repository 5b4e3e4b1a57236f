import pytest
import torch

from quantlab.errors import UsageError
from quantlab.numerics.granularity import (
    Granularity,
    PerAxis,
    PerGroup,
    PerTensor,
    parse_granularity,
    reduced_axes,
)

SHAPE = (4, 3, 5, 2)


@pytest.mark.parametrize(
    ("granularity", "split", "scale", "axes", "text"),
    [
        (PerTensor(), SHAPE, (), (0, 1, 2, 3), "per_tensor"),
        (PerAxis(0), SHAPE, (4, 1, 1, 1), (1, 2, 3), "per_axis:0"),
        (PerAxis(-2), SHAPE, (1, 1, 5, 1), (0, 1, 3), "per_axis:-2"),
        (PerGroup(6), (4, 5, 6), (4, 5, 1), (2,), "per_group:6"),
    ],
)
def test_shapes_and_text(
    granularity: Granularity,
    split: tuple[int, ...],
    scale: tuple[int, ...],
    axes: tuple[int, ...],
    text: str,
) -> None:
    assert granularity.split_shape(SHAPE) == split
    assert granularity.scale_shape(SHAPE) == scale
    assert reduced_axes(split, scale) == axes
    assert torch.broadcast_shapes(split, scale) == split
    assert str(granularity) == text
    assert parse_granularity(text) == granularity


def test_axis_zero_is_meant_without_one() -> None:
    assert parse_granularity("per_axis") == PerAxis(0)


@pytest.mark.parametrize(
    "text", ["", "per_group", "per_group:x", "per_group:-", "per_tensor:1", "per_axis:", "per-axis"]
)
def test_unknown_text(text: str) -> None:
    with pytest.raises(UsageError, match=f"granularity: '{text}' given, 'per_tensor', "):
        parse_granularity(text)


def test_nearest_text() -> None:
    with pytest.raises(UsageError, match="did you mean 'per_axis'"):
        parse_granularity("per_axes:0")


def test_impossible_shapes() -> None:
    with pytest.raises(UsageError, match="per_axis:4"):
        PerAxis(4).scale_shape(SHAPE)
    with pytest.raises(UsageError, match=r"per_group:7.*divisors of its 30 numbers per row"):
        PerGroup(7).split_shape(SHAPE)
    with pytest.raises(UsageError, match="per_group:2"):
        PerGroup(2).split_shape((4,))
    with pytest.raises(UsageError, match="per_group:0"):
        PerGroup(0)
