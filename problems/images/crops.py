"""Crops of photos of any size to a fixed one, on Pillow images.

The random crop is that of C. Szegedy et al., "Going deeper with convolutions", 2014; the centered
one is what published top-1 figures are measured with.
"""

import math
from collections.abc import Sequence

from PIL import Image

from quantlab.errors import UsageError

_ATTEMPTS = 4
NUM_CROP_DRAWS = 2 * _ATTEMPTS + 2

Box = tuple[int, int, int, int]


def random_resized_crop(
    image: Image.Image,
    draws: Sequence[float],
    *,
    size: int,
    area: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> Image.Image:
    """Cut out a drawn part of the area and of a drawn ratio, and resize it to `size` x `size`.

    `draws` are `NUM_CROP_DRAWS` uniform numbers. Raises UsageError for another number of them.
    """
    if len(draws) != NUM_CROP_DRAWS:
        raise UsageError(f"random_resized_crop: {len(draws)} draws; allowed: {NUM_CROP_DRAWS}")
    box = random_box(image.width, image.height, draws, area=area, ratio=ratio)
    return image.resize((size, size), Image.Resampling.BILINEAR, box=box)


def random_box(
    width: int,
    height: int,
    draws: Sequence[float],
    *,
    area: tuple[float, float],
    ratio: tuple[float, float],
) -> Box:
    """Return (left, top, right, bottom): of four drawn sizes the first that fits the image, at a
    drawn place; if none fits, the largest centered box within the ratios.
    """
    log_ratio = (math.log(ratio[0]), math.log(ratio[1]))
    for attempt in range(_ATTEMPTS):
        target_area = width * height * _between(area, draws[2 * attempt])
        target_ratio = math.exp(_between(log_ratio, draws[2 * attempt + 1]))
        box_width = round(math.sqrt(target_area * target_ratio))
        box_height = round(math.sqrt(target_area / target_ratio))
        if 0 < box_width <= width and 0 < box_height <= height:
            left = _pick(draws[-2], width - box_width + 1)
            top = _pick(draws[-1], height - box_height + 1)
            return left, top, left + box_width, top + box_height
    box_width = min(width, max(1, round(height * ratio[1])))
    box_height = min(height, max(1, round(width / ratio[0])))
    left, top = (width - box_width) // 2, (height - box_height) // 2
    return left, top, left + box_width, top + box_height


def resize_center_crop(image: Image.Image, *, resize: int, size: int) -> Image.Image:
    """Resize the shorter side to `resize`, then cut `size` x `size` out of the middle.

    Raises UsageError if `size` is above `resize`.
    """
    if size > resize:
        raise UsageError(f"resize_center_crop: size {size}; allowed: at most {resize}")
    width, height = image.size
    if width <= height:
        resized = (resize, int(resize * height / width))
    else:
        resized = (int(resize * width / height), resize)
    left, top = round((resized[0] - size) / 2), round((resized[1] - size) / 2)
    return image.resize(resized, Image.Resampling.BILINEAR).crop(
        (left, top, left + size, top + size)
    )


def _between(bounds: tuple[float, float], draw: float) -> float:
    return bounds[0] + (bounds[1] - bounds[0]) * draw


def _pick(draw: float, num_choices: int) -> int:
    return min(int(draw * num_choices), num_choices - 1)
