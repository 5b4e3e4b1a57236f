"""A few samples with what the network says about them, as one picture."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

_TILE, _CAPTION, _COLUMNS = 96, 28, 8
_RIGHT, _WRONG = (0, 120, 0), (200, 0, 0)


def is_image_batch(raw: Tensor) -> bool:
    """Return whether a raw batch looks like images: NCHW with 1 or 3 channels."""
    return raw.ndim == 4 and raw.shape[1] in (1, 3)


def prediction_sheet(
    raw_NCHW: Tensor, predicted: Sequence[str], expected: Sequence[str]
) -> NDArray[np.uint8]:
    """Return an RGB picture of uint8 images, each with its predicted class below, green if right,
    red with the true class if wrong."""
    from PIL import Image, ImageDraw, ImageFont

    rows = -(-len(raw_NCHW) // _COLUMNS)
    height = _TILE + _CAPTION
    sheet = Image.new("RGB", (_COLUMNS * _TILE, rows * height), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=_CAPTION - 8)
    for i, pixels in enumerate(raw_NCHW.cpu()):
        x, y = i % _COLUMNS * _TILE, i // _COLUMNS * height
        array = pixels.expand(3, -1, -1).permute(1, 2, 0).numpy().astype(np.uint8)
        tile = Image.fromarray(array).resize((_TILE - 4, _TILE - 4), Image.Resampling.NEAREST)
        sheet.paste(tile, (x + 2, y + 2))
        is_right = predicted[i] == expected[i]
        caption = predicted[i] if is_right else f"{predicted[i]} ({expected[i]})"
        while draw.textlength(caption, font) > _TILE - 4:
            caption = caption[:-1]
        draw.text((x + 2, y + _TILE), caption, _RIGHT if is_right else _WRONG, font)
    return np.asarray(sheet)
