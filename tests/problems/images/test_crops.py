"""Crops of photos, the centered one against torchvision's."""

from functools import cache
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from problems.images.crops import (
    NUM_CROP_DRAWS,
    random_box,
    random_resized_crop,
    resize_center_crop,
)
from quantlab.errors import UsageError

DRAWS = st.lists(
    st.floats(0, 1, exclude_max=True), min_size=NUM_CROP_DRAWS, max_size=NUM_CROP_DRAWS
)


@cache
def transforms() -> ModuleType:
    from quantlab.vision import torchvision

    module: ModuleType = torchvision.transforms
    return module


def photo(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng([width, height]).integers(0, 256, (height, width, 3))
    return Image.fromarray(pixels.astype(np.uint8))


@pytest.mark.parametrize("size", [(60, 40), (40, 60), (33, 33), (47, 101), (101, 37), (500, 31)])
def test_center_crop_is_that_of_torchvision(size: tuple[int, int]) -> None:
    steps = (transforms().Resize(32), transforms().CenterCrop(28))
    expected = transforms().Compose(steps)(photo(*size))
    found = resize_center_crop(photo(*size), resize=32, size=28)
    assert np.array_equal(np.asarray(found), np.asarray(expected))


@settings(max_examples=200, deadline=None)
@given(width=st.integers(1, 400), height=st.integers(1, 400), draws=DRAWS)
def test_box_lies_inside(width: int, height: int, draws: list[float]) -> None:
    left, top, right, bottom = random_box(
        width, height, draws, area=(0.08, 1.0), ratio=(3 / 4, 4 / 3)
    )
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height


def test_boxes_have_the_area_and_ratio_that_were_drawn() -> None:
    random = np.random.default_rng(0)
    boxes = [
        random_box(
            300, 300, random.random(NUM_CROP_DRAWS).tolist(), area=(0.1, 0.5), ratio=(0.8, 1.25)
        )
        for _ in range(2000)
    ]
    sizes = np.array([(right - left, bottom - top) for left, top, right, bottom in boxes])
    areas, ratios = sizes.prod(1) / 300**2, sizes[:, 0] / sizes[:, 1]
    assert areas.min() == pytest.approx(0.1, abs=0.01)
    assert areas.max() == pytest.approx(0.5, abs=0.01)
    assert areas.mean() == pytest.approx(0.3, abs=0.02)
    assert ratios.min() == pytest.approx(0.8, abs=0.03)
    assert ratios.max() == pytest.approx(1.25, abs=0.03)
    # Places are drawn independently of each other and cover the image.
    lefts, tops = (np.array([box[i] for box in boxes]) for i in (0, 1))
    assert abs(np.corrcoef(lefts, tops)[0, 1]) < 0.2
    assert lefts.min() == 0
    assert max(box[2] for box in boxes) == 300


def test_long_images_fall_back_to_the_center() -> None:
    box = random_box(1000, 10, [0.999] * NUM_CROP_DRAWS, area=(0.9, 1.0), ratio=(3 / 4, 4 / 3))
    assert box == (493, 0, 506, 10)


def test_random_crop_gives_the_size_and_repeats() -> None:
    draws = np.random.default_rng(1).random(NUM_CROP_DRAWS).tolist()
    first, second = (random_resized_crop(photo(90, 50), draws, size=32) for _ in range(2))
    assert first.size == (32, 32)
    assert np.array_equal(np.asarray(first), np.asarray(second))


def test_errors_name_what_is_allowed() -> None:
    with pytest.raises(UsageError, match=f"3 draws; allowed: {NUM_CROP_DRAWS}"):
        random_resized_crop(photo(8, 8), [0.0] * 3, size=4)
    with pytest.raises(UsageError, match="size 40; allowed: at most 32"):
        resize_center_crop(photo(64, 64), resize=32, size=40)
